import type { Session } from '../target.ts';
import { quoteIdentifier, quoteLiteral } from './catalog.ts';
import { sqlState } from './errors.ts';

/** Where Cutover keeps, in the target itself, what must commit together with the target's rows. */
export const OWN_SCHEMA = 'cutover';

/**
 * A table of Cutover's own schema. It has a column `run_id`, or a foreign key ON DELETE CASCADE to one that has.
 * Tables of a single run are made by {@link createRunTable}.
 */
export type OwnTable = {
  name: string;
  /** Statements that create the table and its indexes, names qualified by the schema. */
  create: readonly string[];
};

/** Statements of schema and cleanup phases, by how far they got. */
const APPLIED_STATEMENT: OwnTable = {
  name: 'applied_statement',
  create: [
    `CREATE TABLE cutover.applied_statement (
       run_id text NOT NULL,
       phase text NOT NULL,
       direction text NOT NULL CHECK (direction IN ('up', 'down')),
       index integer NOT NULL,
       -- How many statements the phase has in this direction: fewer records mean that it stopped half-way.
       total integer NOT NULL,
       started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
       -- NULL while a statement that cannot run in a transaction is under way, or was when its worker died.
       finished_at timestamptz,
       -- Of such a statement: its text, and the invalid indexes that were there before it, which are not its own.
       statement text,
       invalid_before oid[] NOT NULL DEFAULT '{}',
       PRIMARY KEY (run_id, phase, direction, index)
     )`,
  ],
};

/** Raise the number when a table changes its shape. */
const MARKER = 'Cutover: state of migration runs, layout 2. Dropped when no run needs it any more.';
const ANY_LAYOUT = /^Cutover: state of migration runs/;
const LOCK = `hashtextextended('cutover.own_schema', 0)`;

/**
 * Makes sure that Cutover's schema and these tables are there, and stay until the end of the transaction: call it first in
 * a transaction that writes to them. Several sessions may do so at once.
 * @throws Error when the database has a schema of that name which is not Cutover's.
 */
export async function ensureOwnSchema(session: Session, tables: readonly OwnTable[] = []): Promise<void> {
  const wanted = [APPLIED_STATEMENT, ...tables];
  if (await isComplete(session, wanted)) {
    await session.query(`SELECT pg_advisory_xact_lock_shared(${LOCK})`);
    // Between the look and the lock the last run may have taken the schema away.
    if (await isComplete(session, wanted)) return;
  }
  await session.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
  await createSchema(session);
  const present = await listTables(session);
  for (const table of wanted.filter(({ name }) => !present.some((other) => other.name === name))) {
    for (const statement of table.create) await session.query(statement);
  }
}

/**
 * Creates a table that belongs to one run alone, and goes as a whole when the run is forgotten.
 * @param name with the schema.
 */
export async function createRunTable(
  session: Session,
  runId: string,
  name: string,
  columns: readonly string[],
): Promise<void> {
  await session.query(`CREATE TABLE ${name} (${columns.join(', ')})`);
  await session.query(`COMMENT ON TABLE ${name} IS ${quoteLiteral(commentOf(runId))}`);
}

function commentOf(runId: string): string {
  return `Of run ${runId}`;
}

/**
 * Deletes everything that Cutover's schema holds of a run, and the schema with it once it is empty. Nothing outside of the
 * schema is ever dropped; if something there depends on it, the empty schema stays. Call it in a transaction.
 */
export async function forgetRun(session: Session, runId: string): Promise<void> {
  await session.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
  const present = await listTables(session);
  const ofRun = present.filter(({ comment }) => comment === commentOf(runId));
  if (ofRun.length > 0) await session.query(`DROP TABLE ${ofRun.map(qualified).join(', ')}`);
  const tables = present.filter((table) => !ofRun.includes(table));
  for (const table of tables.filter(({ byRun }) => byRun)) {
    await session.query(`DELETE FROM ${qualified(table)} WHERE run_id = $1`, [runId]);
  }
  if ((await schemaComment(session)) !== MARKER || (await holdsRows(session, tables))) return;
  await dropSchema(session, tables);
}

type PresentTable = { name: string; byRun: boolean; comment: string | null };

async function isComplete(session: Session, wanted: readonly OwnTable[]): Promise<boolean> {
  const { rows } = await session.query<{ missing: boolean }>(
    `SELECT bool_or(to_regclass(format('%I.%I', '${OWN_SCHEMA}', name)) IS NULL) AS missing
       FROM unnest($1::text[]) AS name`,
    [wanted.map(({ name }) => name)],
  );
  return rows[0]?.missing === false;
}

async function createSchema(session: Session): Promise<void> {
  const comment = await schemaComment(session);
  if (comment === MARKER) return;
  if (comment !== undefined && ANY_LAYOUT.test(comment)) await dropEarlierLayout(session);
  else if (comment !== undefined) {
    throw new Error(
      `the database has a schema "${OWN_SCHEMA}" that Cutover did not make, and needs that name for its own state; ` +
        'rename the schema',
    );
  }
  await session.query(`CREATE SCHEMA ${OWN_SCHEMA}`);
  await session.query(`COMMENT ON SCHEMA ${OWN_SCHEMA} IS ${quoteLiteral(MARKER)}`);
}

/** @throws Error when runs of an earlier release need what the schema holds. */
async function dropEarlierLayout(session: Session): Promise<void> {
  const tables = await listTables(session);
  if (await holdsRows(session, tables)) {
    throw new Error(
      `the schema "${OWN_SCHEMA}" of the target holds runs of another release of Cutover, which this one cannot go on with; ` +
        'finish them or roll them back with the release that began them, then try again',
    );
  }
  await dropSchema(session, tables);
}

/** The comment of the schema, empty when it has none; undefined when there is no such schema. */
async function schemaComment(session: Session): Promise<string | undefined> {
  const { rows } = await session.query<{ comment: string }>(
    `SELECT coalesce(obj_description(oid, 'pg_namespace'), '') AS comment FROM pg_namespace WHERE nspname = $1`,
    [OWN_SCHEMA],
  );
  return rows[0]?.comment;
}

async function listTables(session: Session): Promise<PresentTable[]> {
  const { rows } = await session.query<PresentTable>(
    `SELECT relname::text AS name, obj_description(c.oid, 'pg_class') AS comment,
            EXISTS (SELECT FROM pg_attribute a
                     WHERE a.attrelid = c.oid AND a.attname = 'run_id' AND NOT a.attisdropped) AS "byRun"
       FROM pg_class c
      WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      ORDER BY relname`,
    [OWN_SCHEMA],
  );
  return rows;
}

async function holdsRows(session: Session, tables: PresentTable[]): Promise<boolean> {
  for (const table of tables) {
    const { rows } = await session.query(`SELECT FROM ${qualified(table)} LIMIT 1`);
    if (rows.length > 0) return true;
  }
  return false;
}

async function dropSchema(session: Session, tables: PresentTable[]): Promise<void> {
  await session.query('SAVEPOINT drop_own_schema');
  try {
    if (tables.length > 0) await session.query(`DROP TABLE ${tables.map(qualified).join(', ')}`);
    await session.query(`DROP SCHEMA ${OWN_SCHEMA}`);
  } catch (error) {
    if (sqlState(error) !== DEPENDENT_OBJECTS_STILL_EXIST) throw error;
    await session.query('ROLLBACK TO SAVEPOINT drop_own_schema');
  }
}

const DEPENDENT_OBJECTS_STILL_EXIST = '2BP01';

function qualified({ name }: PresentTable): string {
  return `${OWN_SCHEMA}.${quoteIdentifier(name)}`;
}
