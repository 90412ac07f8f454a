import type { z } from 'zod';
import type { RowCounts } from '../../src/domain/counts.ts';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { listExceptions, type RecordedException } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import type { BackfillJob, SliceOptions } from '../../src/engine/job.ts';
import { type Transform, TransformRegistry } from '../../src/engine/transform/transform.ts';
import { type UndoOptions, type UndoResult, undoSlice } from '../../src/engine/undo/undo.ts';
import { backfillPhase } from '../../src/plan/schema/backfill.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Row, Target } from '../../src/targets/target.ts';
import { createTestDatabase } from '../support/database.ts';
import { uniqueName } from '../support/unique-name.ts';

/** A target on a database of its own. */
export type Bench = {
  target: Target;
  url: string;
  sql<T = Row>(text: string, values?: readonly unknown[]): Promise<T[]>;
  /** All rows of the table in text form, in no particular order of columns. */
  contents(table: string): Promise<string[]>;
  /** A digest of every table outside of the system's schemas, by name. */
  checksums(): Promise<Record<string, string>>;
  close(): Promise<void>;
};

/** Settings of a role that would garble values, if text were exchanged as the role has it. */
export const ODD_SETTINGS =
  '-c TimeZone=Asia/Tokyo -c DateStyle=German -c IntervalStyle=sql_standard -c bytea_output=escape -c extra_float_digits=-4';

export async function openBench(settings = ''): Promise<Bench> {
  const database = await createTestDatabase();
  const url = new URL(database.url);
  if (settings) url.searchParams.set('options', settings);
  const target = createPostgresTarget({ name: 'bench', url: url.href, poolSize: 4 });
  const sql = async <T = Row>(text: string, values?: readonly unknown[]) =>
    (await target.session({}, (session) => session.query<T>(text, values))).rows;
  const contents = async (table: string) => {
    const rows = await sql<{ row: string }>(
      `SELECT t::text AS row FROM ${table} AS t ORDER BY t::text COLLATE "C"`,
    );
    return rows.map(({ row }) => row);
  };
  return {
    target,
    url: database.url,
    sql,
    contents,
    checksums: async () => {
      const tables = await sql<{ name: string }>(
        `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
          WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
      );
      const sums: Record<string, string> = {};
      for (const { name } of tables) sums[name] = (await contents(name)).join('\n');
      return sums;
    },
    close: async () => {
      await target.close();
      await database.drop();
    },
  };
}

/** A backfill of the table by `set`, with a journal and a budget that nothing exceeds, unless told otherwise. */
export function phaseOf(table: string, given: Partial<z.input<typeof backfillPhase>> = {}): BackfillPhase {
  return backfillPhase.parse({
    kind: 'backfill',
    name: 'fill',
    onFailure: 'hold',
    table,
    transform: { kind: 'sql', set: { new: 'old' } },
    batchSize: 10,
    maxBatchSize: 10,
    throttle: [],
    errorBudget: { rows: 1_000_000, share: 1 },
    ...given,
  });
}

export function jobOf(phase: BackfillPhase, transforms: Transform[] = []): BackfillJob {
  return { runId: uniqueName('run'), phase, transforms: new TransformRegistry(transforms) };
}

/** A job whose phase uses the transform. */
export function transformJob(
  table: string,
  transform: Transform,
  given: Partial<z.input<typeof backfillPhase>> = {},
): BackfillJob {
  const { name, version } = transform;
  return jobOf(phaseOf(table, { transform: { kind: 'registered', name, version }, ...given }), [transform]);
}

/** Runs slices until the backfill is done. */
export async function runToEnd(
  target: Target,
  job: BackfillJob,
  options: SliceOptions = {},
): Promise<RowCounts> {
  for (;;) {
    const { done, counts } = await runSlice(target, job, options);
    if (done) return counts;
  }
}

export async function undoToEnd(
  target: Target,
  job: BackfillJob,
  options: UndoOptions = {},
): Promise<UndoResult> {
  for (;;) {
    const result = await undoSlice(target, job, options);
    if (result.done) return result;
  }
}

export function exceptionsOf(target: Target, { runId, phase }: BackfillJob): Promise<RecordedException[]> {
  return listExceptions(target, runId, phase.name, { limit: 10_000 });
}

/** Counts each row's updates in its column `writes`. */
export async function countWrites(bench: Bench, table: string): Promise<void> {
  await bench.sql(`CREATE OR REPLACE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END $$`);
  await bench.sql(
    `CREATE TRIGGER counts BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION count_writes()`,
  );
}
