import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare } from '../../bench/forecast/compare.ts';
import { SHAPES } from '../../bench/forecast/shapes.ts';
import { type EmbeddedPostgres, startPostgres } from '../../src/dev/postgres.ts';
import { forecastBackfill } from '../../src/engine/forecast/forecast-backfill.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Bench, jobOf, openBench, phaseOf } from './harness.ts';

const ROWS = 20_000;

describe('the forecast of a backfill, on a server with settings of its own', () => {
  const directory = temporaryDirectory();
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    server = await startPostgres({ dir: directory.path, say: () => {} });
  });
  afterAll(async () => {
    await server?.stop();
    directory.remove();
  });

  // Each shape once, the one that is like most tables both ways.
  const cases = SHAPES.flatMap((shape, i) => {
    const undo = i % 2 === 0 ? (['none'] as const) : (['journal'] as const);
    return (shape.name === 'wide' ? (['none', 'journal'] as const) : undo).map(
      (kind) => [shape.name, kind, shape] as const,
    );
  });

  it.each(cases)('of the shape "%s" with undo %s holds what it really takes', async (_, undo, shape) => {
    const compared = await compare(server.url, shape, { rows: ROWS, undo });
    for (const what of ['walBytes', 'diskBytes'] as const) {
      const { forecast, real } = compared[what];
      expect(real, what).toBeGreaterThanOrEqual(forecast.low);
      expect(real, what).toBeLessThanOrEqual(forecast.high);
    }
    // How true it is of the time, `npm run bench -- forecast` tells.
    const { low, high } = compared.seconds.forecast;
    expect(low).toBeGreaterThan(0);
    expect(high).toBeGreaterThan(low);
  });
});

describe('a forecast', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench.close());

  it('writes nothing, and says what it leaves out', async () => {
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, old text)');
    await bench.sql('INSERT INTO t SELECT n, n::text FROM generate_series(1, 5000) n');
    const before = await bench.checksums();
    const job = jobOf(
      phaseOf('t', {
        transform: { kind: 'sql', set: { new: 'old::int' } },
        columns: { new: 'int' },
        where: 'new IS NULL',
      }),
    );
    const rows = { low: 5000, high: 5000 };
    const forecast = await forecastBackfill(bench.target, job, rows);
    expect(await bench.checksums()).toEqual(before);
    expect(forecast.rows).toEqual(rows);
    expect(forecast.walBytes.low).toBeGreaterThan(100_000);
    expect(forecast.notes).toEqual([expect.stringContaining('windows or blackouts')]);

    await bench.sql(`UPDATE t SET old = 'x' WHERE id = 77`);
    const uncertain = await forecastBackfill(bench.target, job, rows);
    expect(uncertain.notes).toContainEqual(expect.stringContaining('fail on some of the rows'));
    expect(uncertain.walBytes.low).toBeGreaterThan(100_000);
  });

  it('of an empty table is about nothing', async () => {
    await bench.sql('CREATE TABLE none (id int PRIMARY KEY, old int, new int)');
    const { seconds, diskBytes } = await forecastBackfill(bench.target, jobOf(phaseOf('none')), {
      low: 0,
      high: 0,
    });
    expect(seconds.high).toBeLessThan(1);
    expect(diskBytes.high).toBeLessThan(1_000_000);
  });
});
