import type { Measurement } from '../domain/gate-verdict.ts';
import type { Gate } from '../domain/plan.ts';
import { measureNumber } from '../targets/postgres/measure-number.ts';
import type { Target } from '../targets/target.ts';

export type MeasureOptions = { signal?: AbortSignal | undefined; timeoutMs?: number | undefined };

/** A measurement that takes longer is a load of its own. */
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Measures a gate by its query. Whatever goes wrong is an error measurement, which the gate's history judges; only an
 * abort is thrown.
 */
export function measureSqlGate(
  target: Target,
  gate: Pick<Gate, 'name' | 'sql'>,
  parameters: Record<string, unknown>,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: MeasureOptions = {},
): Promise<Measurement> {
  return measureNumber(target, gate.sql, parameters, { signal, timeoutMs });
}
