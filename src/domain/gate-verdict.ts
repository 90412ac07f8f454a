import { compare } from './compare.ts';
import type { Gate } from './plan.ts';

/** One measurement: a number, nothing to measure, or an error on the way to it. */
export type Measurement =
  | { kind: 'value'; value: number }
  | { kind: 'no-data' }
  | { kind: 'error'; message: string };

/** `hold` means: neither go on nor roll back, and say why. */
export type Verdict = 'pass' | 'fail' | 'breach' | 'hold';

/** What a gate remembers from one measurement to the next within a stage. */
export type GateHistory = {
  failures: number;
  errors: number;
  /** Undefined until the first measurement. */
  last?: Judgement | undefined;
};

export type Judgement = { verdict: Verdict; value: number | null; reason: string };

export const NO_MEASUREMENTS: GateHistory = { failures: 0, errors: 0 };

/** Judges one measurement in the light of those before it. */
export function judge(gate: Gate, history: GateHistory, measurement: Measurement): GateHistory {
  switch (measurement.kind) {
    case 'value':
      return judgeValue(gate, history, measurement.value);
    case 'no-data':
      return judgeNothing(gate, history, 'nothing to measure yet');
    case 'error':
      return judgeError(gate, history, measurement.message);
  }
}

/** May the stage end, as far as this gate is concerned? A gate that was never measured is no success. */
export function allowsAdvance(history: GateHistory): boolean {
  return history.last?.verdict === 'pass';
}

function judgeValue(gate: Gate, history: GateHistory, value: number): GateHistory {
  const shown = `${round(value)}${gate.unit}`;
  const limit = `${gate.op} ${gate.threshold}${gate.unit}`;
  if (compare(value, gate.op, gate.threshold)) {
    return { failures: 0, errors: 0, last: { verdict: 'pass', value, reason: `${shown}, wanted ${limit}` } };
  }
  const failures = history.failures + 1;
  const verdict = failures > gate.failureLimit ? 'breach' : 'fail';
  const tolerated = verdict === 'fail' ? ` (failure ${failures} of ${gate.failureLimit} tolerated)` : '';
  return { failures, errors: 0, last: { verdict, value, reason: `${shown}, wanted ${limit}${tolerated}` } };
}

function judgeNothing(gate: Gate, history: GateHistory, what: string): GateHistory {
  const verdict = gate.noData === 'breach' ? 'breach' : 'hold';
  return { ...history, last: { verdict, value: null, reason: what } };
}

function judgeError(gate: Gate, history: GateHistory, message: string): GateHistory {
  const errors = history.errors + 1;
  if (errors > gate.errorLimit) {
    return { ...judgeNothing(gate, history, `${errors} measurements in a row failed: ${message}`), errors };
  }
  return {
    ...history,
    errors,
    last: { verdict: 'hold', value: null, reason: `could not be measured: ${message}` },
  };
}

function round(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}
