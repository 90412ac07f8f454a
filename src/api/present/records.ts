import type { AuditEntry as AuditRow } from '../../db/audit.ts';
import type { RunException as ExceptionRow } from '../../db/exceptions.ts';
import type { GateMeasurement as MeasurementRow } from '../../db/gate-measurements.ts';
import type { MigrationLogEntry as LogRow } from '../../db/migration-log.ts';
import type { RegisteredPlan as PlanRow } from '../../db/plans.ts';
import type { RunEventRow } from '../../db/run-events.ts';
import type { AuditEntry } from '../schemas/audit.ts';
import type { RunEvent } from '../schemas/events.ts';
import type { RowException } from '../schemas/exceptions.ts';
import type { GateMeasurement } from '../schemas/gates.ts';
import type { MigrationLogEntry } from '../schemas/migration-log.ts';
import type { PlanDetail, PlanSummary } from '../schemas/plans.ts';
import { instant } from './run.ts';

export function presentPlan(plan: PlanRow): PlanDetail {
  const { name, version, hash, registeredBy, registeredAt, document } = plan;
  return { name, version, hash, registeredBy, registeredAt: registeredAt.toISOString(), document };
}

export function summarizePlan(plan: PlanRow): PlanSummary {
  const { document, ...registered } = presentPlan(plan);
  return {
    ...registered,
    description: document.description,
    target: document.target,
    endpoint: document.endpoint ?? null,
    phases: document.phases.map(({ name, kind }) => ({ name, kind })),
  };
}

export function presentEvent(event: RunEventRow): RunEvent {
  const { id, type, phase, message, data } = event;
  return { id, type, at: event.at.toISOString(), phase, message, data };
}

export function presentMeasurement(measurement: MeasurementRow): GateMeasurement {
  const { runId: _, at, ...rest } = measurement;
  return { ...rest, at: at.toISOString() };
}

export function presentException(exception: ExceptionRow): RowException {
  const {
    runId: _,
    exceptionId,
    sortKey: __,
    revision: ___,
    key,
    decidedAt,
    recordedAt,
    ...rest
  } = exception;
  return {
    ...rest,
    id: String(exceptionId),
    key: keyTexts(key),
    decidedAt: instant(decidedAt),
    recordedAt: recordedAt.toISOString(),
  };
}

/** Keys are stored as a JSON list of texts, one per key column. */
export function keyTexts(key: string): string[] {
  return (JSON.parse(key) as unknown[]).map(String);
}

export function presentLogEntry(entry: LogRow): MigrationLogEntry {
  const { runId, planName, tableName, startedAt, finishedAt, ...rest } = entry;
  return {
    ...rest,
    run: runId,
    plan: planName,
    table: tableName,
    startedAt: startedAt.toISOString(),
    finishedAt: instant(finishedAt),
  };
}

export function presentAuditEntry(entry: AuditRow): AuditEntry {
  return { ...entry, at: entry.at.toISOString() };
}
