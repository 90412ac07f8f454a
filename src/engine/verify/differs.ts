import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import type { DifferingColumn } from '../../targets/postgres/verify/differing.ts';
import type { BatchContext } from '../backfill/batch.ts';
import type { Finding } from './compare.ts';

const SHOWN_CHARACTERS = 80;

/** The exception that a row becomes which differs and is not repaired; shows no value of a redacted column. */
export function differsException(
  { phase, insertion }: Pick<BatchContext, 'phase' | 'insertion'>,
  { key, columns }: Finding,
): RowException {
  const [identity] = insertion?.into.key ?? [];
  const hasNoCopy = columns.some(({ name, is }) => name === identity?.name && is === null);
  const reason =
    insertion && hasNoCopy
      ? `it has no row in ${insertion.into.qualifiedName}`
      : columns.map((column) => inWords(column, phase.redact)).join('; ');
  return { key, kind: 'differs', reason };
}

function inWords({ name, is, should }: DifferingColumn, redact: readonly string[]): string {
  if (redact.includes(name)) return `"${name}" is not what the transform makes of the row`;
  return `"${name}" is ${shown(is)}, and should be ${shown(should)}`;
}

function shown(text: string | null): string {
  if (text === null) return 'NULL';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
