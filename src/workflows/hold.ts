import { condition, setCurrentDetails } from '@temporalio/workflow';
import type { PhaseRef } from '../contracts/activities.ts';
import { formatMs, scaledMs } from '../domain/duration.ts';
import { allowsAdvance, type GateHistory, NO_MEASUREMENTS } from '../domain/gate-verdict.ts';
import type { Gate } from '../domain/plan.ts';
import { quick } from './activities.ts';
import type { PhaseCommands } from './phase-commands.ts';

/** Gates are never sampled more often than this, however much a run's holds are shortened. */
const SHORTEST_INTERVAL_MS = 250;

export type HoldInput = {
  ref: PhaseRef;
  /** What is held, for summaries: `50 %`, `soak`. */
  title: string;
  gates: Gate[];
  percentage: number;
  timeScale: number;
};

/** What a hold must remember when its workflow continues as new. All times in milliseconds, by the workflow's clock. */
export type HoldState = {
  startedAt: number;
  remainingMs: number;
  /** Up to when the hold's clock has been counted. */
  countedTo: number;
  /** By gate name. */
  dueAt: Record<string, number>;
  histories: Record<string, GateHistory>;
  /** Counts the samplings. */
  sequence: number;
};

export type HoldResult =
  | { kind: 'passed'; reason: string }
  | { kind: 'breached'; reason: string }
  /** The history has grown long: continue as new with the state. */
  | { kind: 'carry-over' };

export function newHold(input: HoldInput, startedAt: number, holdMs: number): HoldState {
  const dueAt = Object.fromEntries(
    input.gates.map((gate) => [gate.name, startedAt + intervalMs(gate, input)]),
  );
  return { startedAt, remainingMs: holdMs, countedTo: startedAt, dueAt, histories: {}, sequence: 0 };
}

/**
 * Watches the gates until the hold is over and every gate passes. A breach ends it at once, also while the run is paused:
 * a pause stops the hold's clock and its end, not the watch. When time is up but a gate has no passing measurement, it goes
 * on holding.
 * @param state is changed in place.
 * @param carryOver says when the history has grown so long that the workflow should continue as new.
 */
export async function holdUnderWatch(
  input: HoldInput,
  state: HoldState,
  commands: PhaseCommands,
  carryOver: () => boolean,
): Promise<HoldResult> {
  for (;;) {
    showDetails(input, state, commands);
    const breach = breachOf(input, state);
    if (breach) return { kind: 'breached', reason: breach };
    if (commands.advancedBy !== undefined)
      return { kind: 'passed', reason: `advanced by ${commands.advancedBy}` };
    if (!commands.paused && state.remainingMs <= 0 && undecided(input, state).length === 0) {
      return {
        kind: 'passed',
        reason: input.gates.length > 0 ? 'hold over, every gate passed' : 'hold over',
      };
    }
    if (carryOver()) return { kind: 'carry-over' };
    await sleepUntilSomethingIsDue(input, state, commands);
    await sampleDueGates(input, state);
  }
}

async function sleepUntilSomethingIsDue(
  input: HoldInput,
  state: HoldState,
  commands: PhaseCommands,
): Promise<void> {
  const paused = commands.paused;
  const now = Date.now();
  const waits = Object.values(state.dueAt).map((due) => Math.max(due - now, 1));
  if (!paused && state.remainingMs > 0) waits.push(state.remainingMs);
  const woken = () => commands.advancedBy !== undefined || commands.paused !== paused;
  const summary = `${input.title}: ${formatMs(Math.max(state.remainingMs, 0))} of the hold left`;
  if (waits.length > 0) await condition(woken, Math.min(...waits), { summary });
  else await condition(woken);
  if (!paused) state.remainingMs -= Date.now() - state.countedTo;
  state.countedTo = Date.now();
}

/** When the hold is over, every gate is due: the last word is measured at the end, not an interval before it. */
async function sampleDueGates(input: HoldInput, state: HoldState): Promise<void> {
  const now = Date.now();
  const gates = input.gates.filter((gate) => state.remainingMs <= 0 || (state.dueAt[gate.name] ?? 0) <= now);
  if (gates.length === 0) return;
  state.sequence += 1;
  const summary = `${input.title}: measure ${gates.map((gate) => gate.name).join(', ')}`;
  const measured = await quick(input.ref.target, summary).sampleGates({
    ...input.ref,
    gates,
    histories: state.histories,
    percentage: input.percentage,
    stageStartedAt: state.startedAt,
    sequence: state.sequence,
    timeScale: input.timeScale,
  });
  Object.assign(state.histories, measured);
  for (const gate of gates) state.dueAt[gate.name] = Date.now() + intervalMs(gate, input);
}

function intervalMs(gate: Gate, input: HoldInput): number {
  return Math.max(SHORTEST_INTERVAL_MS, scaledMs(gate.interval, input.timeScale));
}

function breachOf(input: HoldInput, state: HoldState): string | undefined {
  for (const gate of input.gates) {
    const last = state.histories[gate.name]?.last;
    if (last?.verdict === 'breach') return `gate "${gate.name}" breached at ${input.title}: ${last.reason}`;
  }
  return undefined;
}

/** Gates without a passing last measurement. */
function undecided(input: HoldInput, state: HoldState): Gate[] {
  return input.gates.filter((gate) => !allowsAdvance(state.histories[gate.name] ?? NO_MEASUREMENTS));
}

function showDetails(input: HoldInput, state: HoldState, commands: PhaseCommands): void {
  const waiting = undecided(input, state);
  const overtime =
    state.remainingMs <= 0 && waiting.length > 0
      ? `Holding on for ${waiting.map((gate) => gate.name).join(', ')}`
      : '';
  const rows = input.gates.map((gate) => {
    const last = state.histories[gate.name]?.last;
    return `| ${gate.name} | ${last?.verdict ?? 'not measured yet'} | ${last?.reason ?? ''} |`;
  });
  setCurrentDetails(
    [
      `**${input.title}**${commands.paused ? ' (paused)' : ''}: ${formatMs(Math.max(state.remainingMs, 0))} left. ${overtime}`,
      '',
      '| gate | verdict | measured |',
      '|---|---|---|',
      ...rows,
    ].join('\n'),
  );
}
