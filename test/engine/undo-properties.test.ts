import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { BackfillJob } from '../../src/engine/job.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { classifySqlError } from '../../src/targets/postgres/errors.ts';
import type { Target } from '../../src/targets/target.ts';
import { Death, type Fault, faultyTarget } from './faults.ts';
import { type Bench, exceptionsOf, jobOf, openBench, phaseOf, runToEnd } from './harness.ts';

let bench: Bench;
let workers: Target;
beforeAll(async () => {
  bench = await openBench();
  workers = createPostgresTarget({ name: 'workers', url: bench.url, poolSize: 8 });
  // Places may be swapped within a statement; ranks may not, so that they can only move up one after the other.
  await bench.sql(`
    CREATE TABLE t (
      id int PRIMARY KEY, note text, amount numeric, doc jsonb, at timestamptz, bits bytea,
      place int UNIQUE DEFERRABLE, rank int UNIQUE,
      twice numeric GENERATED ALWAYS AS (amount * 2) STORED,
      writes int NOT NULL DEFAULT 0);
    CREATE TABLE moves (id int PRIMARY KEY, place int);
    CREATE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$;
    CREATE TRIGGER counts BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_writes()`);
});
afterAll(async () => {
  await workers.close();
  await bench.close();
});

const SET = {
  amount: 'CASE WHEN id % 5 = 0 THEN NULL ELSE coalesce(amount, 0) + 0.50 END',
  doc: `jsonb_build_object('was', doc, 'id', id)`,
  at: `coalesce(at + interval '1.000001 s', '2024-02-29')`,
  bits: `sha256(convert_to(id::text, 'UTF8'))`,
  place: '(SELECT moves.place FROM moves WHERE moves.id = t.id)',
  rank: 'rank - 1',
};
const WRITTEN = [...Object.keys(SET), 'twice'];

/** What the application does to a row once it is migrated. */
const ACTIONS = ['nothing', 'note', 'amount', 'place', 'rank', 'delete'] as const;
type Action = (typeof ACTIONS)[number];

const scenario = fc.integer({ min: 1, max: 40 }).chain((size) =>
  fc.record({
    /** The place that each row moves to, among those that the others leave. */
    order: fc.shuffledSubarray(
      Array.from({ length: size }, (_, i) => i + 1),
      { minLength: size },
    ),
    /** Whether rows have ranks: one that stays where it is then keeps all below it from going back. */
    ranked: fc.boolean(),
    actions: fc.array(fc.tuple(fc.integer({ min: 1, max: size }), fc.constantFrom<Action>(...ACTIONS)), {
      maxLength: 6,
    }),
    /** Rows that the application adds, with places that others have left. */
    added: fc.array(fc.integer({ min: 1, max: size }), { maxLength: 2 }),
    batchSize: fc.integer({ min: 1, max: 45 }),
    lanes: fc.integer({ min: 1, max: 3 }),
    untilMs: fc.constantFrom(0, 20, 10_000),
    faults: fc.array(
      fc.record({
        after: fc.integer({ min: 0, max: 25 }),
        fault: fc.constantFrom<Fault>('kill', 'deadlock', 'serialization', 'timeout', 'lock', 'death'),
      }),
      { maxLength: 12 },
    ),
  }),
);

type Row = Record<string, unknown> & {
  id: number;
  place: number | null;
  rank: number | null;
  writes: number;
};

const ALL = `SELECT id, note, amount::text, doc::text, at::text, bits::text, place, rank, twice::text, writes FROM t ORDER BY id`;

async function fill(order: readonly number[], ranked: boolean): Promise<void> {
  await bench.sql('TRUNCATE t, moves');
  await bench.sql(
    `INSERT INTO t (id, note, amount, doc, at, bits, place, rank)
     SELECT n, 'note ' || n, CASE WHEN n % 3 > 0 THEN n / 7.0 END, CASE WHEN n % 4 > 0 THEN '{"a": [1, null]}'::jsonb END,
            CASE WHEN n % 2 = 0 THEN timestamptz '2025-03-30 01:59:59.999999Z' END, CASE WHEN n % 6 > 0 THEN '\\x00ff'::bytea END,
            n, CASE WHEN $2 THEN n END FROM generate_series(1, $1::int) AS n`,
    [order.length, ranked],
  );
  await bench.sql(
    'INSERT INTO moves SELECT at, place FROM unnest($1::int[]) WITH ORDINALITY AS given(place, at)',
    [order],
  );
}

async function act(id: number, action: Action): Promise<void> {
  const statements: Record<Action, string | undefined> = {
    nothing: undefined,
    note: `UPDATE t SET note = 'changed' WHERE id = $1`,
    amount: 'UPDATE t SET amount = -1 WHERE id = $1',
    place: 'UPDATE t SET place = 1000 + id WHERE id = $1',
    rank: 'UPDATE t SET rank = NULL WHERE id = $1',
    delete: 'DELETE FROM t WHERE id = $1',
  };
  const statement = statements[action];
  if (statement) await bench.sql(statement, [id]);
}

async function addRow(id: number, place: number): Promise<void> {
  await bench.sql(
    'INSERT INTO t (id, place) SELECT $1, $2::int WHERE NOT EXISTS (SELECT FROM t WHERE place = $2)',
    [id, place],
  );
}

/**
 * What must come out: a row keeps its present values when the application changed one of those that were written, or when
 * such a row has what it would need back. Everything else is as it was before, written once more.
 */
function expectedRows(before: Row[], migrated: Row[], present: Row[]): { rows: Row[]; kept: Set<number> } {
  const was = new Map(before.map((row) => [row.id, row]));
  const wasMigrated = new Map(migrated.map((row) => [row.id, row]));
  const isTouched = (row: Row) => {
    const then = wasMigrated.get(row.id);
    return !then || WRITTEN.some((column) => row[column] !== then[column]);
  };
  const stays = new Set(present.filter(isTouched).map(({ id }) => id));
  for (let size = -1; size !== stays.size; ) {
    size = stays.size;
    const staying = present.filter(({ id }) => stays.has(id));
    const places = new Set(staying.map(({ place }) => place));
    const ranks = new Set(staying.map(({ rank }) => rank));
    for (const { id } of present) {
      const old = was.get(id);
      if (old && (places.has(old.place) || (old.rank !== null && ranks.has(old.rank)))) stays.add(id);
    }
  }
  const rows = present.map((row) => {
    const old = was.get(row.id);
    return stays.has(row.id) || !old ? row : { ...old, note: row.note, writes: row.writes + 1 };
  });
  const kept = before
    .map(({ id }) => id)
    .filter((id) => stays.has(id) || !present.some((row) => row.id === id));
  return { rows, kept: new Set(kept) };
}

function schedule(faults: readonly { after: number; fault: Fault }[]): () => Fault | undefined {
  const left = [...faults];
  let statements = 0;
  return () => {
    const [next] = left;
    if (!next || ++statements <= next.after) return undefined;
    statements = 0;
    left.shift();
    return next.fault;
  };
}

/** Lanes that are started again whatever happens to them, as Temporal does. */
async function undoToEnd(target: Target, job: BackfillJob, lanes: number, untilMs: number): Promise<void> {
  const lane = async (): Promise<void> => {
    for (;;) {
      try {
        if ((await undoSlice(target, job, { untilMs, waitMs: 5 })).done) return;
      } catch (error) {
        if (!(error instanceof Death) && classifySqlError(error) !== 'retryable') throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

it('every row that the application left alone is as it was before; the others are kept and listed', async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async (given) => {
      const { order, ranked, actions, added, batchSize, lanes, untilMs, faults } = given;
      await fill(order, ranked);
      const before = await bench.sql<Row>(ALL);
      // All in one batch: only within a statement can places be swapped.
      const job = jobOf(
        phaseOf('t', { transform: { kind: 'sql', set: SET }, batchSize: 100, maxBatchSize: 100 }),
      );
      expect(await runToEnd(bench.target, job)).toMatchObject({ migrated: order.length });
      const migrated = await bench.sql<Row>(ALL);
      for (const [id, action] of actions) await act(id, action);
      for (const [i, place] of added.entries()) await addRow(1_000 + i, place);
      const expected = expectedRows(before, migrated, await bench.sql<Row>(ALL));

      const undone = { ...job, phase: { ...job.phase, batchSize } };
      await undoToEnd(faultyTarget(workers, bench, schedule(faults)), undone, lanes, untilMs);
      expect(await bench.sql<Row>(ALL)).toEqual(expected.rows);
      const kept = await exceptionsOf(bench.target, job);
      expect(new Set(kept.map(({ key }) => Number(key[0])))).toEqual(expected.kept);
      const again = await undoSlice(bench.target, undone);
      const restored = order.length - expected.kept.size;
      expect(again).toMatchObject({ done: true, restored, kept: expected.kept.size, rows: order.length });
    }),
    { numRuns: 40, endOnFailure: true },
  );
}, 180_000);
