import type { GateMeasurement } from '../../api/schemas/gates.ts';
import type { Phase, RunDetail } from '../../api/schemas/runs.ts';
import { formatMs } from '../../domain/duration.ts';
import { type Hold, holdOf } from '../hold.ts';
import type { RunView } from '../run-view.ts';
import { bar } from './bar.ts';
import { count, percent, phaseMark, span, statusText, verdictText } from './format.ts';
import { etaText, loadLines } from './load-lines.ts';
import { padEnd, padStart, type Style, textWidth } from './style.ts';
import { indent } from './table.ts';

const BLANK_BAR = ' '.repeat(20);
const SETTLED = new Set(['completed', 'undone']);

/**
 * A run at a glance: what it is, where it stands, a line per phase, the gates of the present one.
 * @param compact leaves out the phases that are over or have yet to come.
 */
export function runLines(style: Style, view: RunView, compact = false, now = Date.now()): string[] {
  const { run } = view;
  return [
    `${style.bold(run.id)}  ${statusText(style, run.status)}  ${style.dim(span(run.createdAt, run.finishedAt, now))}`,
    ...(run.links.webUi ? [style.dim(run.links.webUi)] : []),
    ...whyLines(style, run),
    ...(compact ? [] : ['']),
    ...phaseLines(style, view, compact, now),
  ];
}

function whyLines(style: Style, run: RunDetail): string[] {
  if (run.waitingFor) return [style.yellow(waitsFor(run.waitingFor))];
  const normal = run.status === 'running' || run.status === 'completed' || run.status === 'pending';
  return run.reason && !normal ? [run.reason] : [];
}

/** A line of its own for what the API gives as a noun: "a person to resume the run". */
export function waitsFor(what: string): string {
  return `waits for ${what}`;
}

function phaseLines(style: Style, view: RunView, compact: boolean, now: number): string[] {
  const { phases } = view.run;
  const nameWidth = Math.max(0, ...phases.map((phase) => textWidth(phase.name)));
  const shown = compact ? phases.filter(({ state }) => !SETTLED.has(state) && state !== 'pending') : phases;
  const over = phases.filter(({ state }) => SETTLED.has(state)).map(({ name }) => name);
  return [
    ...(compact && over.length > 0 ? [`  ${style.green('✓')} ${style.dim(over.join(', '))}`] : []),
    ...shown.flatMap((phase) => [
      `  ${phaseMark(style, phase.state)} ${padEnd(phase.name, nameWidth)}  ${phaseText(style, phase, view, now)}`.trimEnd(),
      ...(phase.state === 'running' ? indent(gateLines(style, latestGates(view.run, phase.name)), 6) : []),
      ...(isAtWork(phase) && phase.progress ? indent(loadLines(style, phase.progress, compact), 6) : []),
    ]),
  ];
}

function phaseText(style: Style, phase: Phase, view: RunView, now: number): string {
  if (phase.state === 'pending') return style.dim(phase.kind);
  const time = style.dim(padStart(span(phase.startedAt, phase.finishedAt, now), 6));
  const [share, text] = isAtWork(phase) ? present(phase, view, now) : past(style, phase);
  const shownBar = share === 'none' ? BLANK_BAR : bar(style, share);
  return `${shownBar}  ${time}  ${text}`;
}

/** Undoing most phases takes a moment; what takes longer tells its progress. */
function isAtWork(phase: Phase): boolean {
  return phase.state === 'running' || (phase.state === 'undoing' && phase.progress !== null);
}

type Progress = NonNullable<Phase['progress']>;
type Present = [share: number | undefined | 'none', text: string];

function past(style: Style, phase: Phase): Present {
  const text = phase.summary ?? phase.state.replaceAll('_', ' ');
  if (phase.state === 'completed') return [1, text];
  return ['none', phase.state === 'failed' || phase.state === 'undo_failed' ? style.red(text) : text];
}

function present(phase: Phase, view: RunView, now: number): Present {
  if (phase.progress) {
    const restoring = phase.state === 'undoing' ? 'restoring ' : '';
    const share = isEstimateUseful(phase.progress) ? phase.progress.share : null;
    return [share ?? undefined, restoring + progressText(phase.progress, now)];
  }
  const hold = holdOf(phase, view, now);
  const stage = view.flag?.percentage ?? latestGates(view.run, phase.name)[0]?.percentage;
  const where = stage === undefined ? '' : `${view.flag?.flag ?? 'flag'} at ${percent(stage)}`;
  if (hold && where) return [hold.share, `${where} · ${holdText(view.run, hold)}`];
  return [phase.kind === 'rollout' && stage !== undefined ? stage / 100 : undefined, phase.summary ?? where];
}

function holdText(run: RunDetail, hold: Hold): string {
  if (run.status === 'paused') return 'its clock is stopped';
  // The hold is over, but a gate has yet to pass.
  return hold.leftMs > 0 ? `${formatMs(hold.leftMs)} to go` : 'held until every gate passes';
}

/** `623 of 1,005 rows · 410 rows/s · 1.0s to 1.4s to go` */
function progressText(progress: Progress, now: number): string {
  const { counts, estimatedRows, rowsPerSecond } = progress;
  return [
    estimatedRows !== null && isEstimateUseful(progress)
      ? `${count(counts.processed)} of ${count(estimatedRows)} rows`
      : `${count(counts.processed)} rows`,
    rowsPerSecond > 0 ? `${count(rowsPerSecond)} rows/s` : '',
    etaText(progress, now),
  ]
    .filter(Boolean)
    .join(' · ');
}

/**
 * An estimate that the count has passed says nothing of what is left. The engine raises it to the count, so that a phase that is
 * at work and has as many rows as were estimated is one whose planner knew too little.
 */
function isEstimateUseful({ counts, estimatedRows }: Progress): boolean {
  return estimatedRows !== null && estimatedRows > counts.processed;
}

/** The latest measurements of a phase, at the stage that it has reached. */
function latestGates(run: RunDetail, phase: string): GateMeasurement[] {
  const ofPhase = run.gates.filter((gate) => gate.phase === phase);
  const stage = Math.max(...ofPhase.map((gate) => gate.percentage));
  return ofPhase.filter((gate) => gate.percentage === stage);
}

export function gateLines(style: Style, gates: GateMeasurement[]): string[] {
  const width = Math.max(0, ...gates.map((gate) => textWidth(gate.gate)));
  return gates.map(
    (gate) =>
      `${style.dim(padEnd(gate.gate, width))}  ${padEnd(verdictText(style, gate.verdict), 6)}  ${style.dim(gate.reason)}`,
  );
}
