import type { Key } from '../../targets/postgres/backfill/table.ts';
import { compareRows } from '../../targets/postgres/verify/compare-rows.ts';
import type { Session } from '../../targets/target.ts';
import { keysAt, type PreparedBatch } from '../backfill/prepared-batch.ts';
import { exceptionOf } from '../backfill/registered-batch.ts';
import {
  type Compared,
  comparedAmong,
  compareWithTransform,
  type Derivation,
  type Finding,
  underivable,
} from './compare.ts';

/**
 * Compares rows that were read and derived before, all of them as they are at the moment that the transaction sees: those that
 * have changed since they were read are derived again.
 */
export async function comparePrepared(
  session: Session,
  derivation: Derivation,
  { span, derived }: PreparedBatch,
): Promise<Compared> {
  const { context } = derivation;
  const findings: Finding[] = [];
  const changed: Key[] = [];
  let checked = 0;
  for (const { columns, rows } of derived.groups) {
    const compared = comparedAmong(derivation, columns);
    const asked = { rows, columns: compared, among: span, detailed: false };
    const { differing, others } = await compareRows(session, context.table, asked);
    for (const row of differing) findings.push(row);
    for (const key of keysAt(rows, others)) changed.push(key);
    checked += rows.count - others.length;
  }
  const { unwritten, setAside } = derived;
  const asked = { rows: { ...unwritten, values: [] }, columns: [], among: span, detailed: false };
  const { others } =
    unwritten.count === 0 ? { others: [] } : await compareRows(session, context.table, asked);
  for (const key of keysAt(unwritten, others)) changed.push(key);
  const stale = new Set(others);
  const valid = setAside.filter(({ place }) => !stale.has(place));
  for (const exception of valid.flatMap((row) => exceptionOf(row, context)))
    findings.push(underivable(exception));
  checked += unwritten.count - others.length;
  const skipped = unwritten.count - others.length - valid.length;
  if (changed.length === 0) return { checked, skipped, findings };
  const again = await compareWithTransform(session, derivation, { keys: changed }, false);
  return {
    checked: checked + again.checked,
    skipped: skipped + again.skipped,
    findings: [...findings, ...again.findings],
  };
}
