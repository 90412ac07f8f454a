import { log } from '@temporalio/activity';
import type { SampleInput } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { recordMeasurement } from '../db/gate-measurements.ts';
import { recordEvent } from '../db/run-events.ts';
import { scaledMs } from '../domain/duration.ts';
import {
  type GateHistory,
  type Judgement,
  judge,
  NO_MEASUREMENTS,
  type Verdict,
} from '../domain/gate-verdict.ts';
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
  const { runId, percentage } = input;
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

  try {
    await record(dependencies.db, input, gate, history.last, before.last?.verdict);
  } catch (error) {
    // A rollback must not wait for the control database. The measurement stays known as this activity's result.
    log.warn('a measurement could not be recorded', { gate: gate.name, ...history.last, error });
  }
  return history;
}

/** Every measurement is kept; watchers hear of those that say something new. */
async function record(
  db: ControlDb,
  { runId, phase, percentage, sequence, stageStartedAt }: SampleInput,
  { name: gate, op, threshold, unit }: Gate,
  { value, verdict, reason }: Judgement,
  verdictBefore: Verdict | undefined,
): Promise<void> {
  await recordMeasurement(db, { runId, phase, percentage, gate, sequence, value, verdict, reason });
  if (verdict === verdictBefore) return;
  await recordEvent(db, {
    runId,
    key: `${phase}/${percentage}/${stageStartedAt}/${gate}/${sequence}`,
    type: 'gate',
    phase,
    message: `${gate} at ${percentage} %: ${verdict}, ${reason}`,
    data: { gate, percentage, value, verdict, reason, op, threshold, unit },
  });
}
