import type { Session, Target } from '../target.ts';
import { describeTable, quoteLiteral } from './catalog.ts';
import { describeSqlError, sqlState } from './errors.ts';

export type BackupRequest = {
  runId: string;
  table: string;
  /** SQL condition over the columns of the table that limits the copy. */
  where?: string | undefined;
  /** Name of the copy; without a schema it goes where the table is. */
  as: string;
  /** Longest wait for a lock. */
  lockTimeoutMs?: number | undefined;
};

/** What was copied, names with their schema. */
export type Backup = { table: string; backup: string; rows: number };

const DEFAULT_LOCK_TIMEOUT_MS = 5_000;

/** duplicate_table, and the unique_violation in the catalog that two creators at once run into */
const CREATED_MEANWHILE = new Set(['42P07', '23505']);

/**
 * Copies a table's rows and proves, under one snapshot, that the copy has as many as the table. When this run has made the
 * copy before, it is counted again and kept.
 * @throws Error when the table is missing, the condition is wrong, the counts differ, or the name is taken.
 */
export async function backUpTable(
  target: Target,
  request: BackupRequest,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<Backup> {
  const limits = { lockTimeoutMs: request.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS, signal };
  const recount = () =>
    target.transaction({ ...limits, readOnly: true }, (session) => recountBackup(session, request));
  const known = await recount();
  if (known) return known;
  try {
    return await target.transaction(limits, (session) => copyTable(session, request));
  } catch (error) {
    if (signal?.aborted) throw error;
    const meanwhile = CREATED_MEANWHILE.has(sqlState(error) ?? '') ? await recount() : undefined;
    if (meanwhile) return meanwhile;
    throw new Error(`backup of ${request.table}: ${describeSqlError(error)}`, { cause: error });
  }
}

/**
 * Drops a copy that this run has made. False when there is none; a table of that name that is somebody else's, or a name
 * that no table can have, is what kept the copy from being made, and must not keep the run from being undone.
 */
export async function dropBackup(
  target: Target,
  request: BackupRequest,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<boolean> {
  const lockTimeoutMs = request.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS;
  try {
    return await target.transaction({ lockTimeoutMs, signal }, async (session) => {
      const copy = await findCopy(session, request);
      if (!copy || !isOwn(copy, request)) return false;
      await session.query(`DROP TABLE ${copy.name}`);
      return true;
    });
  } catch (error) {
    if (isWrongName(error)) return false;
    throw error;
  }
}

/** The copies that the run has made, by the tables that they are copies of; names with their schema. */
export async function listBackups(session: Session, runId: string): Promise<Backup[]> {
  const { rows } = await session.query<{ backup: string; comment: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS backup, d.description AS comment
       FROM pg_description d
       JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND c.relkind = 'r'
        AND strpos(d.description, $1) > 0
      ORDER BY c.oid`,
    [`, run ${runId}: `],
  );
  return rows.flatMap(({ backup, comment }) => {
    const table = /^Cutover backup of (.*), run /s.exec(comment)?.[1];
    if (table === undefined) return [];
    const own = `${provenance({ runId, table, as: backup })}: `;
    return comment.startsWith(own)
      ? [{ table, backup, rows: Number.parseInt(comment.slice(own.length), 10) }]
      : [];
  });
}

/** invalid_parameter_value, as parse_ident says it, and invalid_name, as to_regclass does */
function isWrongName(error: unknown): boolean {
  return ['22023', '42602'].includes(sqlState(error) ?? '');
}

type Copy = { name: string; comment: string };

async function recountBackup(session: Session, request: BackupRequest): Promise<Backup | undefined> {
  const copy = await findCopy(session, request);
  if (!copy) return undefined;
  const recorded = recordedRows(copy, request);
  const rows = await count(session, copy.name);
  if (rows !== recorded) {
    throw new Error(
      `the backup ${copy.name} had ${recorded} rows when this run made it and has ${rows} now; ` +
        'somebody changed it. Drop it to have it made again',
    );
  }
  return { table: request.table, backup: copy.name, rows };
}

async function copyTable(session: Session, request: BackupRequest): Promise<Backup> {
  // A policy that hides rows from this role would hide them from the count that proves the copy as well: better an error.
  await session.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL row_security = off');
  const shape = await describeTable(session, request.table);
  if (!shape) throw new Error('there is no such table; check its spelling and its schema');
  const backup = await copyName(session, request, shape.qualifiedName);
  // The line break ends a comment that the condition may end with.
  const rows = `${shape.qualifiedName}${request.where === undefined ? '' : ` WHERE (${request.where}\n)`}`;
  await session.query(`CREATE TABLE ${backup} AS SELECT * FROM ${rows}`);
  const [wanted, copied] = [await count(session, rows), await count(session, backup)];
  if (wanted !== copied) throw new Error(`${copied} rows were copied, but the table has ${wanted}`);
  const comment = `${provenance(request)}: ${copied} rows`;
  await session.query(`COMMENT ON TABLE ${backup} IS ${quoteLiteral(comment)}`);
  return { table: request.table, backup, rows: copied };
}

/** The name of the copy with its schema, quoted for use in SQL. */
async function copyName(session: Session, { as }: BackupRequest, table: string): Promise<string> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT string_agg(quote_ident(part), '.' ORDER BY position) AS name
       FROM (SELECT parse_ident($1) AS given, parse_ident($2) AS source) AS names,
            unnest(CASE WHEN cardinality(given) > 1 THEN given
                        ELSE source[:cardinality(source) - 1] || given END) WITH ORDINALITY AS parts (part, position)`,
    [as, table],
  );
  return rows[0]?.name ?? as;
}

async function findCopy(session: Session, request: BackupRequest): Promise<Copy | undefined> {
  const source = await describeTable(session, request.table);
  const name = source ? await copyName(session, request, source.qualifiedName) : request.as;
  const { rows } = await session.query<Copy>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name, coalesce(obj_description(c.oid, 'pg_class'), '') AS comment
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = to_regclass($1)`,
    [name],
  );
  return rows[0];
}

/** The comment on a copy says who made it of what, so that nothing else is ever taken for it. */
function provenance({ runId, table }: BackupRequest): string {
  return `Cutover backup of ${table}, run ${runId}`;
}

function isOwn({ comment }: Copy, request: BackupRequest): boolean {
  return comment.startsWith(`${provenance(request)}: `);
}

/** @throws Error when another run, or nobody of Cutover's, has made the table. */
function recordedRows(copy: Copy, request: BackupRequest): number {
  const { name, comment } = copy;
  if (!isOwn(copy, request)) {
    const owner = comment === '' ? 'has no comment' : `has the comment "${comment}"`;
    throw new Error(
      `the table ${name} exists and was not made as this run's backup of ${request.table} (it ${owner}); ` +
        'give the backup another name, or drop that table',
    );
  }
  return Number.parseInt(comment.slice(`${provenance(request)}: `.length), 10);
}

async function count(session: Session, rows: string): Promise<number> {
  const result = await session.query<{ count: string }>(`SELECT count(*) FROM ${rows}`);
  return Number(result.rows[0]?.count);
}
