import { codeOf } from '../../domain/sql-lexer.ts';
import type { Session } from '../target.ts';

/**
 * A statement that works on indexes CONCURRENTLY. It commits in several steps, so that one which fails or is killed leaves
 * an index behind that is not valid: no query uses it, and every write still has to keep it up.
 */
export type ConcurrentWork =
  | { kind: 'create'; index: string; table: string; ifNotExists: boolean }
  | { kind: 'drop'; index: string }
  | { kind: 'reindex'; scope: 'index' | 'table' | 'schema' | 'database'; name: string };

/** An index that is not valid. */
export type InvalidIndex = {
  oid: string;
  /** With its schema, quoted for use in SQL. */
  name: string;
  /** A session may still be at work on it. */
  building: boolean;
};

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const QUALIFIED = String.raw`${IDENTIFIER}(?:\s*\.\s*${IDENTIFIER})?`;
const CREATE_INDEX = new RegExp(
  String.raw`^CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?<exists>IF\s+NOT\s+EXISTS\s+)?` +
    String.raw`(?:(?<name>(?!ON\s)${IDENTIFIER})\s+)?ON\s+(?:ONLY\s+)?(?<table>${QUALIFIED})`,
  'iu',
);
const DROP_INDEX = new RegExp(
  String.raw`^DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?<name>${QUALIFIED})`,
  'iu',
);
const REINDEX = new RegExp(
  String.raw`^REINDEX\s*(?<options>\([^)]*\))?\s*(?<scope>INDEX|TABLE|SCHEMA|DATABASE)(?<word>\s+CONCURRENTLY)?` +
    String.raw`(?:\s+(?<name>${QUALIFIED}))?`,
  'iu',
);

/**
 * Undefined for every other statement.
 * @throws Error when an index to be made has no name: an invalid leftover could not be told from other indexes.
 */
export function concurrentWork(statement: string): ConcurrentWork | undefined {
  const code = codeOf(statement);
  return creation(code) ?? removal(code) ?? rebuilding(code);
}

function creation(code: string): ConcurrentWork | undefined {
  const { table, name, exists } = CREATE_INDEX.exec(code)?.groups ?? {};
  if (!table) return undefined;
  if (!name) {
    throw new Error(
      `CREATE INDEX CONCURRENTLY on ${table} needs a name for its index: … CONCURRENTLY <name> ON …`,
    );
  }
  return { kind: 'create', index: unquote(name), table, ifNotExists: exists !== undefined };
}

function removal(code: string): ConcurrentWork | undefined {
  const { name } = DROP_INDEX.exec(code)?.groups ?? {};
  return name === undefined ? undefined : { kind: 'drop', index: name };
}

function rebuilding(code: string): ConcurrentWork | undefined {
  const { options = '', scope = '', word, name = '' } = REINDEX.exec(code)?.groups ?? {};
  const isConcurrent = word !== undefined || /\bconcurrently\b(?!\s+(?:false|off|0)\b)/i.test(options);
  if (!isConcurrent) return undefined;
  return { kind: 'reindex', scope: scope.toLowerCase() as 'index' | 'table' | 'schema' | 'database', name };
}

/** Whether there is a valid index of the name that a CREATE INDEX would make. */
export async function hasValidIndex(
  session: Session,
  { index, table }: { index: string; table: string },
): Promise<boolean> {
  const { rows } = await session.query(
    `SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = to_regclass($1) AND c.relname = $2 AND i.indisvalid`,
    [table, index],
  );
  return rows.length > 0;
}

/** Invalid indexes that may be the statement's. */
export async function invalidIndexes(session: Session, work: ConcurrentWork): Promise<InvalidIndex[]> {
  const { condition, values } = conditionOf(work);
  const { rows } = await session.query<InvalidIndex>(
    `SELECT c.oid::text AS oid, format('%I.%I', n.nspname, c.relname) AS name,
            ${work.kind === 'reindex' ? IS_WORKED_ON : IS_BUILT} AS building
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT i.indisvalid AND ${condition}
      ORDER BY c.oid`,
    values,
  );
  return rows;
}

const IS_BUILT = `EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)`;

/** Of several indexes that a statement rebuilds, only the one it is at shows its progress; the lock is there throughout. */
const IS_WORKED_ON = `EXISTS (
  SELECT FROM pg_locks l
   WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid())`;

function conditionOf(work: ConcurrentWork): { condition: string; values: unknown[] } {
  switch (work.kind) {
    case 'create':
      return {
        condition: 'i.indrelid = to_regclass($1) AND c.relname = $2',
        values: [work.table, work.index],
      };
    case 'drop':
      return { condition: 'c.oid = to_regclass($1)', values: [work.index] };
    case 'reindex':
      return {
        condition: `c.relname ~ '_cc(new|old)[0-9]*$' AND ${REINDEXED[work.scope]}`,
        values: work.scope === 'database' ? [] : [work.name],
      };
  }
}

/** The tables below the one given, that one, and where their long values are. */
const withParts = (table: string) => `i.indrelid IN (
  SELECT unnest(ARRAY[t.oid, t.reltoastrelid]) FROM pg_class t
   WHERE t.oid IN (SELECT ${table} UNION SELECT relid FROM pg_partition_tree(${table})))`;

const REINDEXED = {
  index: withParts('(SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass($1))'),
  table: withParts('to_regclass($1)'),
  schema: `i.indrelid IN (SELECT unnest(ARRAY[t.oid, t.reltoastrelid]) FROM pg_class t
                           WHERE t.relnamespace = to_regnamespace($1))`,
  database: 'true',
};

/** Drops them without holding anybody up. */
export async function dropInvalidIndexes(session: Session, indexes: readonly InvalidIndex[]): Promise<void> {
  for (const { name } of indexes) await session.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
}

function unquote(identifier: string): string {
  return identifier.startsWith('"')
    ? identifier.slice(1, -1).replaceAll('""', '"')
    : identifier.toLowerCase();
}
