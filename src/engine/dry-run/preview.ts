import { decode } from '../../targets/postgres/backfill/decode.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { listKeys } from '../../targets/postgres/backfill/find-key.ts';
import type { Rows } from '../../targets/postgres/backfill/key-range.ts';
import type { BackfillColumn, BackfillTable, Key } from '../../targets/postgres/backfill/table.ts';
import type { Row, Session } from '../../targets/target.ts';
import { REDACTED, redactRow } from '../exceptions/redact.ts';
import type { Candidate, RowScan } from './scan.ts';

/** What would become of one row. */
export type PreviewedRow =
  | {
      outcome: 'migrated';
      key: Key;
      /** Null where there is no row to overwrite: one is inserted. */
      before: Row | null;
      after: Row;
      candidate: Candidate;
    }
  | { outcome: 'skipped'; key: Key }
  | ({ outcome: 'ambiguous' | 'failed' } & ShownException);

/** What becomes of the rows once the scan has looked at those that would be written. */
export async function scanned(
  session: Session,
  scan: RowScan,
  rows: readonly PreviewedRow[],
  redact: readonly string[],
): Promise<PreviewedRow[]> {
  const candidates = rows.flatMap((row) => ('candidate' in row ? [row.candidate] : []));
  const verdicts = await scan.scan(session, candidates);
  return rows.map((row) => {
    const verdict = 'candidate' in row ? verdicts.get(JSON.stringify(row.key)) : undefined;
    if (!verdict || !('candidate' in row)) return row;
    if ('refusal' in verdict) return { outcome: 'failed', key: row.key, ...verdict.refusal };
    return { ...row, after: redactRow(asRow(row.candidate.columns, verdict.after), redact) };
  });
}

/** What a report shows of an exception. */
export type ShownException = Pick<RowException, 'key' | 'reason' | 'suggestion' | 'sqlstate' | 'message'>;

/** Rows to look at; at most `limit` of them when it is given. */
export type PreviewRange = { range: Rows; limit: number | undefined };

/** A row that would be set aside. */
export function setAside({ kind, attempted: _, proposal: __, ...shown }: RowException): PreviewedRow {
  return { outcome: kind === 'ambiguous' ? 'ambiguous' : 'failed', ...shown };
}

/** All rows of the range in the order of their keys, of which the database alone knows; failures were found apart. */
export async function inOrder(
  session: Session,
  table: BackfillTable,
  range: Rows,
  rows: readonly PreviewedRow[],
  failures: readonly PreviewedRow[],
): Promise<PreviewedRow[]> {
  if (failures.length === 0) return [...rows];
  const keys = await listKeys(session, table, range);
  const positions = new Map(keys.map((key, i) => [JSON.stringify(key), i]));
  const position = ({ key }: PreviewedRow) => positions.get(JSON.stringify(key)) ?? keys.length;
  return [...rows, ...failures].sort((a, b) => position(a) - position(b));
}

/** Texts of columns as a report shows them. */
export function asRow(columns: readonly BackfillColumn[], cells: readonly (string | null)[]): Row {
  return Object.fromEntries(columns.map((column, i) => [column.name, decode(column, cells[i] ?? null)]));
}

/** Shows texts of columns whose values may be seen, and that come by no expression over one whose values may not. */
export function shownUnless(
  redact: readonly string[],
  expressions: Record<string, string>,
): Candidate['show'] {
  return ({ name }, text) =>
    redact.some((column) => column === name || expressions[name]?.includes(column)) ? REDACTED : text;
}
