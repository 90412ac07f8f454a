import type { DecisionResult, ExceptionGroups, RowException } from '../../api/schemas/exceptions.ts';
import { plural } from '../../domain/plural.ts';
import { count, moment } from './format.ts';
import type { Style } from './style.ts';
import { facts, indent, table } from './table.ts';

export function exceptionLines(style: Style, exceptions: RowException[]): string[] {
  return table(
    style,
    ['id', 'row', 'kind', 'status', 'phase', 'reason'].map((title) => ({ title })),
    exceptions.map(({ id, key, kind, status, phase, reason }) => [
      id,
      key.join(', '),
      kindText(style, kind),
      statusText(style, status),
      phase,
      oneLine(reason),
    ]),
  );
}

export function groupLines(style: Style, { reasons }: ExceptionGroups): string[] {
  return table(
    style,
    [
      { title: 'rows', align: 'right' },
      { title: 'acceptable', align: 'right' },
      ...['kind', 'status', 'phase', 'reason'].map((title) => ({ title })),
    ],
    reasons.map(({ exceptions, acceptable, kind, status, phase, reason }) => [
      count(exceptions),
      acceptable > 0 ? count(acceptable) : '',
      kindText(style, kind),
      statusText(style, status),
      phase,
      oneLine(reason),
    ]),
  );
}

/** Everything there is to know of one row that was set aside. */
export function exceptionDetail(style: Style, exception: RowException): string[] {
  const { suggestion, statement, parameters, value, decidedBy, decidedAt } = exception;
  return [
    ...facts(style, [
      ['row', exception.key.join(', ')],
      ['phase', exception.phase],
      ['kind', kindText(style, exception.kind)],
      ['status', statusText(style, exception.status)],
      ['decided', decidedBy ? `by ${decidedBy} at ${moment(decidedAt)}` : undefined],
      ['note', exception.note ?? undefined],
      ['value', value ? JSON.stringify(value) : undefined],
      ['reason', exception.reason],
      ['suggestion', suggestion === null ? undefined : JSON.stringify(suggestion)],
      ['message', exception.message ?? undefined],
      ['set aside', moment(exception.recordedAt)],
    ]),
    ...(statement ? ['', style.dim('statement'), ...indent(statement.split('\n'))] : []),
    ...(parameters ?? []).map((given, i) => `  ${style.dim(`$${i + 1}`)} = ${JSON.stringify(given)}`),
  ];
}

export function decisionLines(style: Style, result: DecisionResult): string[] {
  const { resolved, replayed, skipped, left, examples, unknown } = result;
  const settled = [
    ...(resolved > 0 ? [`${count(resolved)} resolved`] : []),
    ...(replayed > 0 ? [`${count(replayed)} replayed`] : []),
    ...(skipped > 0 ? [`${count(skipped)} skipped`] : []),
  ];
  return [
    settled.length > 0 ? `${style.green('✓')} ${settled.join(', ')}` : 'nothing was settled',
    ...(left > 0 ? [`${style.yellow('!')} still open: ${plural(left, 'exception')}`] : []),
    ...(examples.length > 0
      ? indent(
          table(
            style,
            [{ title: 'id' }, { title: 'row' }, { title: 'why' }],
            examples.map(({ id, key, why }) => [id, key.join(', '), oneLine(why)]),
          ),
        )
      : []),
    ...(unknown.length > 0 ? [`${style.yellow('!')} no exceptions of this phase: ${unknown.join(' ')}`] : []),
  ];
}

function kindText(style: Style, kind: RowException['kind']): string {
  return kind === 'failed' ? style.red(kind) : style.yellow(kind);
}

function statusText(style: Style, status: RowException['status']): string {
  return status === 'open' ? style.yellow(status) : style.dim(status);
}

/** Reasons may come with line breaks, and a table has none. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
