import type { RollbackPreview } from '../../api/schemas/rollback-preview.ts';
import { formatMs } from '../../domain/duration.ts';
import { plural } from '../../domain/plural.ts';
import { count } from './format.ts';
import { padEnd, type Style, textWidth } from './style.ts';
import { indent } from './table.ts';

type Step = RollbackPreview['steps'][number];

/** The steps of a rollback in their order, each with what it costs, and up to where there is a way back. */
export function previewLines(style: Style, preview: RollbackPreview): string[] {
  const { refusedBecause, steps } = preview;
  const width = Math.max(0, ...steps.map(({ phase }) => textWidth(phase)));
  return [
    refusedBecause === null
      ? `A rollback of ${style.bold(preview.runId)} would, in this order:`
      : style.yellow(`No rollback now: ${refusedBecause}`),
    ...(steps.length === 0 ? ['  do nothing: no phase has begun'] : []),
    ...steps.flatMap((step, i) => stepLines(style, step, `${i + 1}.`.padStart(4), width)),
    ...(steps.length > 0 ? [`  and remove Cutover's own tables of the run`] : []),
    ...pointOfNoReturnLines(preview),
  ];
}

function stepLines(style: Style, step: Step, number: string, width: number): string[] {
  const { phase, action, seconds, statements } = step;
  const took = seconds ? style.dim(` in about ${between(seconds)}`) : '';
  return [
    `${number} ${style.dim(padEnd(phase, width))}  ${action}${took}`,
    ...indent([...keptLines(step), ...statements.map((statement) => style.dim(statement))], width + 7),
  ];
}

function keptLines({ rows }: Step): string[] {
  if (!rows) return [];
  const { kept } = rows;
  if (!kept) return ['which rows it leaves alone is up to the statement'];
  const changed = 'kept as they are, because they were changed since';
  if (kept.how === 'counted')
    return kept.rows === 0 ? [] : [`of which ${plural(kept.rows, 'row')} ${changed}`];
  const sample = `estimated from ${count(kept.compared)} rows; --count compares all`;
  return [`of which about ${plural(kept.rows, 'row')} ${changed} (${sample})`];
}

function between({ low, high }: { low: number; high: number }): string {
  return low === high ? formatMs(low * 1_000) : `${formatMs(low * 1_000)} to ${formatMs(high * 1_000)}`;
}

function pointOfNoReturnLines({ pointOfNoReturn }: RollbackPreview): string[] {
  if (!pointOfNoReturn) return ['The plan has no point of no return.'];
  const { phase, begun } = pointOfNoReturn;
  if (begun) return [`"${phase}" is the point of no return, and has begun.`];
  return [`There is a way back until "${phase}" begins.`];
}
