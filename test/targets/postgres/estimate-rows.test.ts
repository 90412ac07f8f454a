import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { estimateRows } from '../../../src/targets/postgres/backfill/estimate-rows.ts';
import { loadTable } from '../../../src/targets/postgres/backfill/load-table.ts';
import { type Fixture, startFixture } from './fixture.ts';

const ROWS = 150_000;
let fixture: Fixture;

beforeEach(async () => {
  fixture = await startFixture();
  await fixture.sql('CREATE TABLE t (id int PRIMARY KEY, old text)');
  await fixture.sql(`INSERT INTO t SELECT n, n FROM generate_series(1, ${ROWS}) AS n`);
  await fixture.sql('ANALYZE t');
});
afterEach(() => fixture.stop());

const estimate = (where: string | undefined, name = 't', columns: Record<string, string> = {}) =>
  fixture.target.transaction({}, async (session) =>
    estimateRows(session, await loadTable(session, { table: name, columns, key: ['id'] }), where),
  );

/** Pages are drawn at random: five times the standard deviation of the one that is farthest off. */
const around = (rows: number) => (estimated: number) => Math.abs(estimated - rows) < 0.2 * ROWS;

describe('the number of rows of a large table that meet a condition', () => {
  it('is about right also on a column that was added after the table was analysed', async () => {
    await fixture.sql('ALTER TABLE t ADD COLUMN new int');
    expect(await estimate('new IS NULL')).toSatisfy(around(ROWS));
    await fixture.sql('UPDATE t SET new = id WHERE id % 3 = 0');
    await fixture.sql('VACUUM t');
    expect(await estimate('new IS NULL')).toSatisfy(around((2 / 3) * ROWS));
  });

  it('is about right on a column that is not there yet', async () => {
    expect(await estimate('new IS NULL', 't', { new: 'int' })).toSatisfy(around(ROWS));
  });

  it('is as the planner says where there are no pages to draw', async () => {
    await fixture.sql('CREATE VIEW v AS SELECT * FROM t');
    expect(await estimate(`id <= ${ROWS / 2}`, 'v')).toSatisfy(around(ROWS / 2));
  });
});
