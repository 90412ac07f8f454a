import type { Session } from '../target.ts';
import { quoteIdentifier } from './catalog.ts';
import { codeOf } from './sql-lexer.ts';

/** What a CREATE INDEX CONCURRENTLY statement makes. */
export type ConcurrentIndex = { name: string; table: string; ifNotExists: boolean };

export type IndexState = 'missing' | 'valid' | 'invalid' | 'building';

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const CREATE_INDEX = new RegExp(
  String.raw`^CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?<exists>IF\s+NOT\s+EXISTS\s+)?` +
    String.raw`(?:(?<name>(?!ON\s)${IDENTIFIER})\s+)?ON\s+(?:ONLY\s+)?(?<table>${IDENTIFIER}(?:\s*\.\s*${IDENTIFIER})?)`,
  'iu',
);

/**
 * Undefined for every other statement.
 * @throws Error when the index has no name: an invalid leftover could not be told from other indexes.
 */
export function concurrentIndex(statement: string): ConcurrentIndex | undefined {
  const groups = CREATE_INDEX.exec(codeOf(statement))?.groups;
  if (!groups?.table) return undefined;
  if (!groups.name) {
    throw new Error(
      `CREATE INDEX CONCURRENTLY on ${groups.table} needs a name for its index: … CONCURRENTLY <name> ON …`,
    );
  }
  return { name: unquote(groups.name), table: groups.table, ifNotExists: groups.exists !== undefined };
}

export async function indexState(session: Session, index: ConcurrentIndex): Promise<IndexState> {
  return (await find(session, index))?.state ?? 'missing';
}

/** Drops what a CREATE INDEX CONCURRENTLY that failed has left; a valid index or one under construction stays. */
export async function dropInvalidIndex(session: Session, index: ConcurrentIndex): Promise<void> {
  const found = await find(session, index);
  if (found?.state === 'invalid') {
    await session.query(
      `DROP INDEX CONCURRENTLY IF EXISTS ${quoteIdentifier(found.schema)}.${quoteIdentifier(index.name)}`,
    );
  }
}

async function find(session: Session, index: ConcurrentIndex) {
  const { rows } = await session.query<{ schema: string; state: IndexState }>(
    `SELECT n.nspname::text AS schema,
            CASE WHEN i.indisvalid THEN 'valid'
                 WHEN EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) THEN 'building'
                 ELSE 'invalid' END AS state
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE i.indrelid = to_regclass($1) AND c.relname = $2`,
    [index.table, index.name],
  );
  return rows[0];
}

function unquote(identifier: string): string {
  return identifier.startsWith('"')
    ? identifier.slice(1, -1).replaceAll('""', '"')
    : identifier.toLowerCase();
}
