import { readingInWords } from '../../domain/load-reading.ts';
import type { LoadSignal } from '../../domain/load-signal.ts';
import { openHours } from '../../domain/open-hours.ts';
import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import type { Target } from '../../targets/target.ts';
import { measureLoad } from './measure.ts';

/**
 * What would keep the backfill waiting for ever: signals that the target does not tell its role, and hours that never come.
 * Probes of the plan's own are not asked; what they ask need not be there yet. Paths are relative to the phase.
 */
export async function loadProblems(target: Target, phase: BackfillPhase): Promise<PlanProblem[]> {
  const { throttle, table } = phase;
  const measure = async (signals: LoadSignal[]) => {
    const { readings } = await measureLoad(target, { signals, table, backfill: '', memory: {}, now: 0 });
    return readings.filter(({ measured }) => measured.kind !== 'value');
  };
  const first = await measure(throttle.filter(({ kind }) => kind !== 'sql' && kind !== 'http'));
  // A moment in which the target did not answer is no reason to refuse a plan.
  const again = first.length > 0 ? await measure(first.map(({ signal }) => signal)) : [];
  const missing = again.map((reading): PlanProblem => {
    const path = `throttle[${throttle.indexOf(reading.signal)}]`;
    const problem = `${readingInWords(reading)}; the backfill would be paused for as long as that lasts`;
    return { path, problem, fix: 'see to it that it can be measured, or leave it out of `throttle`' };
  });
  return [...missing, ...hoursProblems(phase)];
}

function hoursProblems(phase: BackfillPhase): PlanProblem[] {
  const hours = openHours(phase, Date.now());
  if (hours.open || hours.until !== undefined) return [];
  const problem = `no batch could run within the next three years: ${hours.why}`;
  return [{ path: 'windows', problem, fix: 'correct `windows`, their `days` and `notOn`, and `blackouts`' }];
}
