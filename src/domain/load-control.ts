import { type LoadReading, limitOf, readingInWords, signalName } from './load-reading.ts';

/**
 * Graduated control of a backfill's load. Each signal lies in a zone, by its share of its limit; the worst steering signal
 * decides on the next step of one ladder: fewer connections, then smaller batches, then a pause, and back the same way.
 * The zones are those of Spirit: below 0.4 of the limit a step up, up to 0.7 nothing, up to the limit a step down, above it
 * a large one. A signal that stops, and one that cannot be measured, pauses at once whatever the ladder says; but where
 * work has to get on all the same, one that cannot be measured takes it down to the ladder's last working step.
 */
export type Zone = 'easy' | 'steady' | 'near' | 'over' | 'unknown';

/** What the control remembers from one measurement to the next. Times in milliseconds, of one clock. */
export type LoadState = {
  /** Connections that may work; null for as many as there are. */
  connections: number | null;
  /** Part of its size that a batch may have, 1 to 1/16. */
  scale: number;
  /** Paused by steering, at the ladder's end. */
  paused: boolean;
  /** When a step down, and a step up, was last made. */
  loweredAt: number | null;
  raisedAt: number | null;
  /** When a signal last demanded a step down, whether it was made or not. */
  pressedAt: number | null;
  /** The signal that the last step down was made for. */
  loweredFor: string | null;
  /** When a stop was last in force, and by which signal. */
  stoppedAt: number | null;
  stoppedBy: string | null;
};

export type LoadDecision = {
  connections: number | null;
  scale: number;
  paused: boolean;
  limiter: Limiter | null;
  /** Every signal as it was measured, in the plan's order. */
  signals: SignalReport[];
};

/** What keeps the backfill from going faster. */
export type Limiter = {
  /** Name of the signal. */
  signal: string;
  effect: 'slowed' | 'paused';
  /** In words: what it does to the backfill, and what was measured. */
  why: string;
};

export type SignalReport = {
  signal: string;
  mode: 'steer' | 'stop';
  zone: Zone;
  value: number | null;
  limit: number;
  /** In words, what was measured against which limit. */
  reason: string;
};

export const UNLIMITED: LoadState = {
  connections: null,
  scale: 1,
  paused: false,
  loweredAt: null,
  raisedAt: null,
  pressedAt: null,
  loweredFor: null,
  stoppedAt: null,
  stoppedBy: null,
};

const EASY_BELOW = 0.4;
const STEADY_BELOW = 0.7;
const SMALLEST_SCALE = 1 / 16;
/** A step takes about as long to show as the next measurement; above the limit there is no time to lose. */
const COOL_DOWN_MS = { over: 2_000, near: 5_000, up: 10_000 };
/** A stop lasts at least so long after its cause was seen last, or a value that hovers around its limit would flap. */
const STOP_MS = 5_000;

export type SteerInput = {
  /** Now, by the clock of the state's times. */
  now: number;
  /** Connections that the backfill is to have when nothing limits it. */
  wanted: number;
  /** What a signal does that cannot be measured: it pauses, or takes it down to its smallest step. */
  missing: 'pauses' | 'slows';
};

/** Takes one round of measurements into account. */
export function steer(
  before: LoadState,
  readings: readonly LoadReading[],
  input: SteerInput,
): { state: LoadState; decision: LoadDecision } {
  const signals = readings.map(report);
  const stop = signals.find(
    ({ zone, mode }) =>
      (zone === 'unknown' && input.missing === 'pauses') || (zone === 'over' && mode === 'stop'),
  );
  const state = stop
    ? { ...before, stoppedAt: input.now, stoppedBy: stop.signal }
    : isStopped(before, input.now)
      ? before
      : step({ ...before, stoppedAt: null, stoppedBy: null }, worstSteering(signals), input);
  return { state, decision: decide(state, signals, input) };
}

function report(reading: LoadReading): SignalReport {
  const { signal, measured } = reading;
  const limit = limitOf(signal);
  const value = measured.kind === 'value' ? measured.value : null;
  return {
    signal: signalName(signal),
    mode: signal.mode,
    zone: value === null ? 'unknown' : zoneOf(value, limit),
    value,
    limit,
    reason: readingInWords(reading),
  };
}

function zoneOf(value: number, limit: number): Zone {
  if (value > limit) return 'over';
  const share = shareOf(value, limit);
  if (share < EASY_BELOW) return 'easy';
  return share < STEADY_BELOW ? 'steady' : 'near';
}

/** Of a limit of 0 nothing is used until it is passed. */
function shareOf(value: number, limit: number): number {
  if (limit > 0) return value / limit;
  return value > 0 ? Number.POSITIVE_INFINITY : 0;
}

/** One that is not measured, and does not pause, counts as at its limit. */
function worstSteering(signals: readonly SignalReport[]): SignalReport | undefined {
  const pressure = ({ value, limit }: SignalReport) => (value === null ? 1 : shareOf(value, limit));
  return signals
    .filter(({ mode, zone }) => mode === 'steer' || zone === 'unknown')
    .reduce<SignalReport | undefined>(
      (worst, signal) => (worst && pressure(worst) >= pressure(signal) ? worst : signal),
      undefined,
    );
}

function isStopped({ stoppedAt }: LoadState, now: number): boolean {
  return stoppedAt !== null && now - stoppedAt < STOP_MS;
}

function step(before: LoadState, worst: SignalReport | undefined, { now, wanted }: SteerInput): LoadState {
  const zone = worst?.zone === 'unknown' ? 'near' : (worst?.zone ?? 'easy');
  const since = (at: number | null) => (at === null ? Number.POSITIVE_INFINITY : now - at);
  const isPressed = zone === 'over' || (zone === 'near' && !before.paused);
  if (worst && isPressed) {
    const state = { ...before, pressedAt: now };
    const lower = since(state.loweredAt) >= COOL_DOWN_MS[zone] && stepDown(state, zone, wanted);
    return lower ? { ...state, ...lower, loweredAt: now, loweredFor: worst.signal } : state;
  }
  const isCool = Math.min(since(before.pressedAt), since(before.raisedAt)) >= COOL_DOWN_MS.up;
  const higher = isCool && stepUp(before, zone, wanted);
  return higher ? { ...before, ...higher, raisedAt: now } : before;
}

type Rung = Partial<Pick<LoadState, 'connections' | 'scale' | 'paused'>>;

/** Near the limit the last working step is as far as it goes: the limit is not passed, so there is no reason to pause. */
function stepDown(
  { connections, scale, paused }: LoadState,
  zone: 'near' | 'over',
  wanted: number,
): Rung | false {
  if (paused) return false;
  const present = Math.min(connections ?? wanted, wanted);
  if (present > 1) return { connections: zone === 'over' ? Math.floor(present / 2) : present - 1 };
  const smaller = scale / (zone === 'over' ? 4 : 2);
  if (smaller >= SMALLEST_SCALE) return { connections: 1, scale: smaller };
  if (zone === 'over') return { paused: true };
  return scale > SMALLEST_SCALE ? { scale: SMALLEST_SCALE } : false;
}

/** Once the value is back within its limit a pause ends, at the smallest working step; further up only far below it. */
function stepUp({ connections, scale, paused }: LoadState, zone: Zone, wanted: number): Rung | false {
  if (paused) return zone === 'over' ? false : { paused: false };
  if (zone !== 'easy') return false;
  if (scale < 1) return { scale: Math.min(1, scale * 2) };
  if (connections === null) return false;
  return { connections: connections + 1 >= wanted ? null : connections + 1 };
}

function decide(state: LoadState, signals: SignalReport[], input: SteerInput): LoadDecision {
  const { connections, scale, paused } = state;
  const stopped = isStopped(state, input.now);
  return {
    connections,
    scale,
    paused: paused || stopped,
    limiter: limiterOf(state, stopped, signals, input),
    signals,
  };
}

function limiterOf(
  { connections, scale, paused, loweredFor, stoppedBy }: LoadState,
  stopped: boolean,
  signals: readonly SignalReport[],
  { wanted }: SteerInput,
): Limiter | null {
  if (stopped || paused) {
    const name = stopped ? stoppedBy : loweredFor;
    return {
      signal: name ?? '',
      effect: 'paused',
      why: `paused: ${reasonOf(name, stopped ? 'stop' : 'steer', signals, ['over', 'unknown'])}`,
    };
  }
  const fewer = connections !== null && connections < wanted ? `${connections} of ${wanted} connections` : '';
  const smaller = scale < 1 ? `batches of 1/${1 / scale} of their size` : '';
  if (!fewer && !smaller) return null;
  const what = [fewer, smaller].filter(Boolean).join(', ');
  const why = `${what}: ${reasonOf(loweredFor, 'steer', signals, ['near', 'over', 'unknown'])}`;
  return { signal: loweredFor ?? '', effect: 'slowed', why };
}

/**
 * The present reason of the signal that led here, which may have left the zones that would lead here again. A kind may be
 * watched twice, once in each mode.
 */
function reasonOf(
  name: string | null,
  mode: SignalReport['mode'],
  signals: readonly SignalReport[],
  zones: Zone[],
): string {
  const named = signals.filter((one) => one.signal === name);
  const signal = named.find((one) => one.mode === mode) ?? named[0];
  if (!signal) return `${name}, which is no longer watched`;
  return zones.includes(signal.zone) ? signal.reason : `${signal.reason} (recovering)`;
}
