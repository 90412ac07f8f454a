import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import { REDACTED } from '../../src/engine/exceptions/redact.ts';
import type { BackfillJob } from '../../src/engine/job.ts';
import { defineTransform, migrated } from '../../src/engine/transform/transform.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd, transformJob } from './harness.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const bySql = (set: Record<string, string>, given = {}) =>
  jobOf(phaseOf('t', { transform: { kind: 'sql', set }, ...given }));

/** Writes what the columns `in_…` hold to the columns `…`. */
const byTransform = (columns: string[], given = {}) => {
  const copy = defineTransform({
    name: 'copy',
    version: 1,
    reads: columns.map((name) => `in_${name}`),
    writes: columns,
    transform: (row) => migrated(Object.fromEntries(columns.map((name) => [name, row[`in_${name}`]]))),
  });
  return transformJob('t', copy, given);
};

/** What a dry run says, and then does the same as the backfill. */
async function foretold(job: BackfillJob) {
  const before = await bench.checksums();
  const report = await dryRunBackfill(bench.target, job);
  expect(await bench.checksums()).toEqual(before);
  expect(await runToEnd(bench.target, job)).toEqual(report.counts);
  const failed = (await exceptionsOf(bench.target, job)).filter(({ kind }) => kind === 'failed');
  const keys = (rows: { key: string[] }[]) => rows.map(({ key }) => Number(key[0])).sort((a, b) => a - b);
  expect(keys(report.failed)).toEqual(keys(failed));
  const states = new Map(failed.map(({ key, sqlstate }) => [String(key), sqlstate]));
  for (const { key, sqlstate } of report.failed) {
    if (sqlstate) expect(sqlstate).toBe(states.get(String(key)));
  }
  return report;
}

describe('values that lose something on their way', () => {
  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS t');
    await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, in_total text, total numeric(8,2), in_day text, day date,
      in_name text, name varchar(5), in_ratio text, ratio real, amount numeric, at timestamptz, secret text)`);
    await bench.sql(`INSERT INTO t (id, in_total, in_day, in_name, in_ratio, amount, at, secret) VALUES
      (1, '12.5', '2024-02-29', 'short', '0.5', 1.5, '2024-02-29 00:00+00', '77.777'),
      (2, '12.345', '2024-02-29 10:30:00', 'Reykjavík', '0.123456789', 2.25, '2024-02-29 23:00+00', '88.888'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`);
  });

  it.each([
    [
      'an assignment rounds',
      { total: 'amount * 1.001' },
      ['total rounded 1.5015 → 1.50', 'total rounded 2.25225 → 2.25'],
    ],
    ['a cast rounds', { total: 'in_total::numeric(8,2)' }, ['total rounded 12.345 → 12.35']],
    [
      'a cast in other words rounds',
      { total: 'CAST(in_total AS numeric)' },
      ['total rounded 12.345 → 12.35'],
    ],
    ['a cast cuts a text', { name: 'in_name::varchar(5)' }, ['name cut Reykjavík → Reykj']],
    [
      'a cast cuts the time of a day',
      { day: '(in_day)::date' },
      ['day cut 2024-02-29 10:30:00 → 2024-02-29'],
    ],
    ['an assignment cuts the time of a day', { day: 'at' }, ['day cut 2024-02-29 23:00:00+00 → 2024-02-29']],
    ['a cast has fewer digits', { ratio: 'in_ratio::real' }, ['ratio rounded 0.123456789 → 0.12345679']],
    ['the author rounds on purpose', { total: 'round(in_total::numeric, 2)' }, []],
  ])('are shown, where %s', async (_, set, expected) => {
    const { lossy, counts } = await foretold(bySql(set));
    expect(
      lossy.flatMap(({ column, loss, samples }) =>
        samples.map(({ from, to }) => `${column} ${loss} ${from} → ${to}`),
      ),
    ).toEqual(expected);
    expect(counts.failed).toBe(0);
  });

  it('are shown of a TypeScript transform as well', async () => {
    const { lossy } = await foretold(byTransform(['total', 'day', 'ratio']));
    expect(lossy).toEqual([
      {
        column: 'day',
        loss: 'cut',
        rows: 1,
        samples: [{ key: ['2'], from: '2024-02-29 10:30:00', to: '2024-02-29' }],
      },
      {
        column: 'ratio',
        loss: 'rounded',
        rows: 1,
        samples: [{ key: ['2'], from: '0.123456789', to: '0.12345679' }],
      },
      { column: 'total', loss: 'rounded', rows: 1, samples: [{ key: ['2'], from: '12.345', to: '12.35' }] },
    ]);
  });

  it('are never shown where the plan redacts them, under whatever name', async () => {
    const reports = [
      await dryRunBackfill(bench.target, bySql({ total: 'secret::numeric' }, { redact: ['secret'] })),
      await dryRunBackfill(bench.target, bySql({ total: 'secret::numeric' }, { redact: ['total'] })),
      await dryRunBackfill(bench.target, byTransform(['total'], { redact: ['in_total', 'total'] })),
    ];
    for (const report of reports) {
      expect(report.lossy[0]?.samples[0]).toMatchObject({ from: REDACTED, to: REDACTED });
    }
    expect(JSON.stringify(reports[1])).not.toMatch(/77\.7|88\.8/);
    expect(JSON.stringify(reports[2])).not.toMatch(/12\.3/);
  });

  it('are counted apart from rows that become NULL', async () => {
    const { nulls, violations } = await foretold(bySql({ total: 'in_total::numeric(8,2)', name: `'x'` }));
    expect(nulls).toEqual([{ column: 'total', rows: 1, keys: [['3']] }]);
    expect(violations).toEqual([]);
  });
});

describe('rows that a constraint would refuse', () => {
  beforeEach(async () => {
    await bench.sql('DROP TABLE IF EXISTS t, shop');
    await bench.sql('CREATE TABLE shop (id int PRIMARY KEY)');
    await bench.sql('INSERT INTO shop VALUES (1), (2)');
    await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, in_price int, in_shop int, in_slug text, price int, shop int, slug text,
      checked int, due boolean NOT NULL DEFAULT true)`);
    await bench.sql(
      `INSERT INTO t (id, in_price, in_shop, in_slug) SELECT n, n, n % 4, 's' || n / 2 FROM generate_series(1, 12) n`,
    );
  });

  const both: [string, (given?: object) => BackfillJob][] = [
    ['sql', (given) => bySql({ price: 'in_price', shop: 'in_shop', slug: 'in_slug' }, given)],
    ['typescript', (given) => byTransform(['price', 'shop', 'slug'], given)],
  ];

  describe.each(both)('by %s', (_, job) => {
    it('fail by CHECK constraints, also those that are not valid and about other columns', async () => {
      await bench.sql('ALTER TABLE t ADD CONSTRAINT cheap CHECK (price < 10)');
      await bench.sql('UPDATE t SET checked = 1 WHERE id = 5');
      await bench.sql('ALTER TABLE t ADD CONSTRAINT untouched CHECK (checked IS NULL) NOT VALID');
      const { violations, failed } = await foretold(job());
      expect(violations).toEqual([
        { constraint: 'untouched', kind: 'check', rows: 1, keys: [['5']] },
        { constraint: 'cheap', kind: 'check', rows: 3, keys: [['10'], ['11'], ['12']] },
      ]);
      expect(failed[0]).toEqual({
        key: ['5'],
        reason: 'new row for public.t violates check constraint "untouched"',
        sqlstate: '23514',
      });
    });

    it('fail by foreign keys', async () => {
      await bench.sql('ALTER TABLE t ADD CONSTRAINT of_shop FOREIGN KEY (shop) REFERENCES shop');
      const { violations } = await foretold(job());
      expect(violations).toEqual([
        { constraint: 'of_shop', kind: 'foreign-key', rows: 6, keys: [['3'], ['4'], ['7'], ['8'], ['11']] },
      ]);
    });

    it('fail by unique indexes: another row has the value, or gets it first', async () => {
      await bench.sql('CREATE UNIQUE INDEX one_slug ON t (lower(slug))');
      await bench.sql(`UPDATE t SET slug = 'S0', due = false WHERE id = 7`);
      const { violations } = await foretold(job({ where: 'due' }));
      expect(violations).toEqual([
        { constraint: 'one_slug', kind: 'unique', rows: 5, keys: [['1'], ['3'], ['5'], ['9'], ['11']] },
      ]);
    });

    it('fail by unique indexes while a row further on still has the value', async () => {
      await bench.sql('UPDATE t SET price = id - 1 WHERE id > 1');
      await bench.sql('CREATE UNIQUE INDEX one_price ON t (price)');
      const { violations } = await foretold(job());
      expect(violations).toMatchObject([{ constraint: 'one_price', kind: 'unique', rows: 11 }]);
    });

    it('do not fail by an index whose condition they do not meet, nor by NULLs', async () => {
      await bench.sql('CREATE UNIQUE INDEX one_slug ON t (slug) WHERE price > 100');
      await bench.sql('UPDATE t SET in_shop = NULL');
      await bench.sql('CREATE UNIQUE INDEX one_shop ON t (shop)');
      await bench.sql('ALTER TABLE t ADD CONSTRAINT of_shop FOREIGN KEY (shop) REFERENCES shop');
      const { violations, nulls } = await foretold(job());
      expect(violations).toEqual([]);
      expect(nulls).toEqual([{ column: 'shop', rows: 12, keys: expect.any(Array) }]);
    });
  });

  it('are foretold exactly, whatever the values are and whichever constraints there are', async () => {
    const value = fc.option(fc.integer({ min: 0, max: 4 }), { freq: 4 });
    const constraints = fc.subarray([
      'ALTER TABLE t ADD CONSTRAINT cheap CHECK (price <> 3)',
      'ALTER TABLE t ADD CONSTRAINT few CHECK (price + shop < 7) NOT VALID',
      'ALTER TABLE t ADD CONSTRAINT of_shop FOREIGN KEY (shop) REFERENCES shop NOT VALID',
      'CREATE UNIQUE INDEX one_price ON t (price, shop)',
      'CREATE UNIQUE INDEX one_slug ON t (slug) WHERE price > 1',
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 15 }),
        constraints,
        fc.constantFrom(...both),
        async (rows, added, [, job]) => {
          await bench.sql('DROP TABLE IF EXISTS t');
          await bench.sql(`CREATE TABLE t (id int PRIMARY KEY, in_price int, in_shop int, in_slug text, price int, shop int,
            slug text, checked int, due boolean NOT NULL DEFAULT true)`);
          for (const [i, [price, shop]] of rows.entries()) {
            await bench.sql('INSERT INTO t (id, in_price, in_shop, in_slug) VALUES ($1, $2, $3, $4)', [
              i,
              price,
              shop,
              `s${price}`,
            ]);
          }
          for (const statement of added) await bench.sql(statement);
          await foretold(job());
        },
      ),
      { numRuns: 20 },
    );
  });

  it('by a condition on the row as a whole fail too, and what only a write can tell is noted', async () => {
    await bench.sql(
      'CREATE FUNCTION fine(t) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1.price < 10 $$',
    );
    await bench.sql('ALTER TABLE t ADD CONSTRAINT whole_row CHECK (fine(t))');
    await bench.sql('ALTER TABLE t ADD CONSTRAINT in_place CHECK (tableoid > 0)');
    const { notes, violations } = await foretold(bySql({ price: 'in_price' }));
    expect(violations).toMatchObject([{ constraint: 'whole_row', rows: 3 }]);
    expect(notes).toEqual([
      expect.stringContaining('Whether rows violate "in_place" can only be found out by writing them'),
    ]);
    await bench.sql('DROP FUNCTION fine CASCADE');
  });
});

describe('rows that are copied into another table', () => {
  it('are held against its columns and constraints', async () => {
    await bench.sql('DROP TABLE IF EXISTS t, copy');
    await bench.sql('CREATE TABLE t (id int PRIMARY KEY, price numeric, tag text)');
    await bench.sql(`INSERT INTO t VALUES (1, 1.234, 'a'), (2, 2, 'b'), (3, 3, 'b'), (4, 40, 'c')`);
    await bench.sql(
      `CREATE TABLE copy (of int PRIMARY KEY, price numeric(8,2) CHECK (price < 10), tag text UNIQUE, more int)`,
    );
    const job = jobOf(
      phaseOf('t', {
        transform: {
          kind: 'insert',
          into: 'copy',
          identifiedBy: ['of'],
          values: { of: 'id', price: 'price', tag: 'tag' },
        },
      }),
    );
    const { lossy, violations } = await foretold(job);
    expect(lossy).toMatchObject([{ column: 'price', loss: 'rounded', rows: 1 }]);
    expect(violations).toEqual([
      { constraint: 'copy_tag_key', kind: 'unique', rows: 1, keys: [['3']] },
      { constraint: 'copy_price_check', kind: 'check', rows: 1, keys: [['4']] },
    ]);
  });
});
