import { checkValues, misfit } from '../../targets/postgres/backfill/check-values.ts';
import { decode } from '../../targets/postgres/backfill/decode.ts';
import { Unencodable } from '../../targets/postgres/backfill/encode.ts';
import type { TakenException, Verdict } from '../../targets/postgres/backfill/exception-decisions.ts';
import { readDigests } from '../../targets/postgres/backfill/row-digests.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { Row, Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { isRowError, rowFailure } from '../errors.ts';
import { columnsThatMatter } from './record.ts';
import { ValueRefused } from './refused.ts';
import { type PresentRow, sortRows } from './rows.ts';
import { type EncodedValues, encodeValues, suggestedValues } from './values.ts';
import { writeValues } from './write-values.ts';

export type Resolution = {
  /** The same values for each row; what the transform suggested for it unless given. */
  given: EncodedValues | undefined;
  note: string | undefined;
  evenIfChanged: boolean;
};

/**
 * Encodes values that somebody gives by hand, after a check that each column can hold its value.
 * @throws ValueRefused, which names the column.
 */
export async function checkGiven(
  session: Session,
  { phase, written }: BatchContext,
  values: Row,
): Promise<EncodedValues> {
  const names = written.map(({ name }) => name);
  const given = Object.keys(values);
  if (given.length === 0)
    throw new ValueRefused(`no value is given; the transform writes ${names.join(', ')}`);
  for (const name of given) refuseColumn(name, names, phase.redact);
  try {
    const encoded = encodeValues(values, written);
    for (const column of written.filter(({ name }) => name in encoded)) {
      const text = encoded[column.name] ?? null;
      const problem = misfit(column, text);
      if (problem) throw new ValueRefused(problem);
      await withSavepoint(session, () => checkValues(session, [column], [[text]])).catch((error: unknown) => {
        if (!isRowError(error)) throw error;
        throw new ValueRefused(`column "${column.name}" (${column.type}): ${rowFailure(error, []).reason}`);
      });
    }
    return encoded;
  } catch (error) {
    throw error instanceof Unencodable ? new ValueRefused(error.message) : error;
  }
}

function refuseColumn(name: string, written: readonly string[], redact: readonly string[]): void {
  if (!written.includes(name)) {
    throw new ValueRefused(
      `column "${name}": the transform does not write it; it writes ${written.join(', ')}`,
    );
  }
  if (redact.includes(name)) {
    throw new ValueRefused(
      `column "${name}": the plan redacts it, so its values are not sent through Cutover; write it to the row yourself ` +
        'and skip the exception, or accept what the transform suggests',
    );
  }
}

/** Writes the values to the rows, journalled like those of a batch. */
export async function resolve(
  session: Session,
  context: BatchContext,
  taken: readonly TakenException[],
  { given, note, evenIfChanged }: Resolution,
): Promise<Verdict[]> {
  const { present, verdicts } = await sortRows(session, context, taken);
  const writable: (PresentRow & { values: EncodedValues })[] = [];
  for (const row of present) {
    const { exception, digest } = row;
    const values = given ?? exception.proposal;
    const changed = exception.seen !== null && exception.seen !== digest && !evenIfChanged;
    if (!values) verdicts.push({ exception, status: 'open', note: NO_SUGGESTION });
    else if (changed) verdicts.push({ exception, status: 'open', note: CHANGED });
    else writable.push({ ...row, values });
  }
  const failures = await writeValues(
    session,
    context,
    writable.map(({ exception, values }) => ({ key: exception.key, values })),
  );
  const written = writable.filter(({ exception }) => !failures.has(JSON.stringify(exception.key)));
  const digests = await digestsOf(session, context, written);
  for (const { exception } of writable) {
    const id = JSON.stringify(exception.key);
    const failure = failures.get(id);
    verdicts.push(
      failure === undefined
        ? {
            exception,
            status: 'resolved',
            note,
            value: told(context, exception, given),
            seen: digests.get(id),
          }
        : { exception, status: 'open', note: `the database refused the value: ${failure}` },
    );
  }
  return verdicts;
}

export const NO_SUGGESTION = 'there is no suggestion that could be accepted as it is; give values';
const CHANGED =
  'the row has changed since it was set aside; replay it to derive it anew, or resolve it even if it has changed';

/** What the rows look like with their new values. */
async function digestsOf(
  session: Session,
  context: BatchContext,
  rows: readonly PresentRow[],
): Promise<Map<string, string>> {
  if (rows.length === 0) return new Map();
  const keys = rows.map(({ exception }) => exception.key);
  const digests = await readDigests(session, context.table, columnsThatMatter(context), keys, false);
  return new Map(digests.map(({ key, digest }) => [JSON.stringify(key), digest]));
}

/** What the record of the exception says was written. Of a suggestion it is what may be shown of it. */
function told(
  { written }: BatchContext,
  { suggestion }: TakenException,
  given: EncodedValues | undefined,
): Row | undefined {
  if (!given) return suggestedValues(suggestion, written);
  const columns = written.filter(({ name }) => name in given);
  return Object.fromEntries(
    columns.map((column) => [column.name, decode(column, given[column.name] ?? null)]),
  );
}
