import type { SampleInput } from '../contracts/activities.ts';
import { recordMeasurement } from '../db/gate-measurements.ts';
import { recordEvent } from '../db/run-events.ts';
import { scaledMs } from '../domain/duration.ts';
import { type GateHistory, judge, NO_MEASUREMENTS } from '../domain/gate-verdict.ts';
import type { Gate } from '../domain/plan.ts';
import { measureSqlGate } from '../gates/sql-gate.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

/** A window is never shortened below this, or there would be nothing in it to measure. */
const SHORTEST_WINDOW_MS = 10_000;

export function gateActivities(dependencies: Dependencies) {
  return {
    sampleGates: async (input: SampleInput): Promise<Record<string, GateHistory>> => {
      const sampled = await whileHeartbeating((signal) =>
        Promise.all(
          input.gates.map(
            async (gate) => [gate.name, await sample(dependencies, input, gate, signal)] as const,
          ),
        ),
      );
      return Object.fromEntries(sampled);
    },
  };
}

async function sample(
  dependencies: Dependencies,
  input: SampleInput,
  gate: Gate,
  signal: AbortSignal,
): Promise<GateHistory> {
  const { runId, phase, percentage, sequence } = input;
  const windowMs = Math.max(SHORTEST_WINDOW_MS, scaledMs(gate.window, input.timeScale));
  const parameters = {
    since: new Date(Math.max(input.stageStartedAt, Date.now() - windowMs)),
    percentage,
    run_id: runId,
  };
  const measurement = await measureSqlGate(targetNamed(dependencies, input.target), gate, parameters, {
    signal,
  });
  const before = input.histories[gate.name] ?? NO_MEASUREMENTS;
  const history = judge(gate, before, measurement);
  if (!history.last) return history;

  const { value, verdict, reason } = history.last;
  await recordMeasurement(dependencies.db, {
    runId,
    phase,
    percentage,
    gate: gate.name,
    sequence,
    value,
    verdict,
    reason,
  });
  // Every measurement is kept; watchers hear of those that say something new.
  if (verdict !== before.last?.verdict) {
    await recordEvent(dependencies.db, {
      runId,
      key: `${phase}/${percentage}/${input.stageStartedAt}/${gate.name}/${sequence}`,
      type: 'gate',
      phase,
      message: `${gate.name} at ${percentage} %: ${verdict}, ${reason}`,
      data: {
        gate: gate.name,
        percentage,
        value,
        verdict,
        reason,
        op: gate.op,
        threshold: gate.threshold,
        unit: gate.unit,
      },
    });
  }
  return history;
}
