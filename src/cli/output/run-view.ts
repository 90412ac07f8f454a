import type { GateMeasurement } from '../../api/schemas/gates.ts';
import type { Phase, RunDetail } from '../../api/schemas/runs.ts';
import { formatMs } from '../../domain/duration.ts';
import { bar } from './bar.ts';
import { count, percent, phaseMark, span, statusText, verdictText } from './format.ts';
import { padEnd, padStart, type Style, textWidth } from './style.ts';
import { indent } from './table.ts';

/** A run at a glance: what it is, where it stands, a line per phase, the gates of the present one. */
export function runLines(style: Style, run: RunDetail, now = Date.now()): string[] {
  return [
    `${style.bold(run.id)}  ${statusText(style, run.status)}  ${style.dim(span(run.createdAt, run.finishedAt, now))}`,
    ...(run.links.webUi ? [style.dim(run.links.webUi)] : []),
    ...whyLines(style, run),
    '',
    ...phaseLines(style, run, now),
  ];
}

function whyLines(style: Style, run: RunDetail): string[] {
  if (run.waitingFor) return [style.yellow(run.waitingFor)];
  const normal = run.status === 'running' || run.status === 'completed' || run.status === 'pending';
  return run.reason && !normal ? [run.reason] : [];
}

/** A line per phase, and under a watched one the latest measurement of each of its gates. */
export function phaseLines(style: Style, run: RunDetail, now = Date.now()): string[] {
  const nameWidth = Math.max(0, ...run.phases.map((phase) => textWidth(phase.name)));
  return run.phases.flatMap((phase) => [
    `  ${phaseMark(style, phase.state)} ${padEnd(phase.name, nameWidth)}  ${phaseText(style, phase, run, now)}`.trimEnd(),
    ...(phase.state === 'running' ? indent(gateLines(style, latestGates(run, phase.name)), 6) : []),
  ]);
}

function phaseText(style: Style, phase: Phase, run: RunDetail, now: number): string {
  const time = style.dim(padStart(span(phase.startedAt, phase.finishedAt, now), 7));
  const blank = ' '.repeat(20);
  if (phase.state === 'pending') return style.dim(phase.kind);
  if (phase.state !== 'running') {
    const text = phase.summary ?? phase.state.replaceAll('_', ' ');
    const shown = phase.state === 'failed' || phase.state === 'undo_failed' ? style.red(text) : text;
    return `${phase.state === 'completed' ? bar(style, 1) : blank}  ${time}  ${shown}`;
  }
  if (phase.progress)
    return `${bar(style, phase.progress.share ?? undefined)}  ${time}  ${progressText(phase.progress)}`;
  const stage = latestGates(run, phase.name)[0]?.percentage;
  if (phase.kind === 'rollout' && stage !== undefined) {
    return `${bar(style, stage / 100)}  ${time}  ${phase.summary ?? `at ${percent(stage)}`}`;
  }
  return `${bar(style, undefined)}  ${time}  ${phase.summary ?? ''}`;
}

/** `623 of 1,005 rows · 410 rows/s · 1s to go` */
export function progressText(progress: NonNullable<Phase['progress']>): string {
  const { counts, estimatedRows, rowsPerSecond, etaSeconds } = progress;
  // An estimate that the count has passed is no longer worth showing.
  const known = estimatedRows !== null && estimatedRows >= counts.processed;
  return [
    known ? `${count(counts.processed)} of ${count(estimatedRows)} rows` : `${count(counts.processed)} rows`,
    rowsPerSecond > 0 ? `${count(rowsPerSecond)} rows/s` : '',
    etaSeconds !== null && etaSeconds > 0 ? `${formatMs(etaSeconds * 1_000)} to go` : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The latest measurements of a phase, at the stage that it has reached. */
export function latestGates(run: RunDetail, phase: string): GateMeasurement[] {
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
