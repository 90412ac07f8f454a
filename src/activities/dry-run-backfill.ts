import type { DryRunPhaseInput, DryRunPhaseReport } from '../contracts/activities.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { formatMs } from '../domain/duration.ts';
import type { BackfillPhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { formatByteRange, formatSecondRange } from '../domain/show-range.ts';
import { type DryRunReport, dryRunBackfill } from '../engine/dry-run/dry-run.ts';
import { type BackfillForecast, forecastBackfill } from '../engine/forecast/forecast-backfill.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { recorded } from './records.ts';

/** What a backfill would do, and what it would cost. The forecast is for all rows, so none is made for a part of them. */
export async function dryRunOfBackfill(
  dependencies: Dependencies,
  input: DryRunPhaseInput,
  phase: BackfillPhase,
  signal: AbortSignal,
): Promise<Pick<DryRunPhaseReport, 'summary' | 'details'>> {
  const { plan, dryRunId, performedBy, batchSize, offset, limit, sample } = input;
  const target = targetNamed(dependencies, plan.target);
  const key = { runId: dryRunId, phase: phase.name, action: 'dry-run' } as const;
  await recorded(
    openLogEntry(dependencies.db, key, {
      planName: plan.name,
      target: plan.target,
      tableName: phase.table,
      performedBy: performedBy.name,
    }),
  );
  const job = { runId: dryRunId, phase, transforms: dependencies.transforms };
  const report = await dryRunBackfill(target, job, { batchSize, offset, limit, sample, signal });
  const { counts } = report;
  const isPart = offset !== undefined || limit !== undefined;
  const forecast = isPart ? undefined : await forecastBackfill(target, job, writtenRows(report), { signal });
  await recorded(updateLogEntry(dependencies.db, key, { counts, outcome: 'completed', errorDetails: [] }));
  return { summary: summaryOf(report, forecast), details: { ...report, ...(forecast && { forecast }) } };
}

function writtenRows({ counts, sample }: DryRunReport) {
  return sample?.expected.migrated ?? { low: counts.migrated, high: counts.migrated };
}

function summaryOf(report: DryRunReport, forecast: BackfillForecast | undefined): string {
  const { counts, durationMs, notes, sample, lossy } = report;
  const drawn = sample ? `of ${plural(sample.drawn, 'random row')} out of about ${sample.of}: ` : '';
  const lost = lossy.reduce((sum, { rows }) => sum + rows, 0);
  return [
    `${drawn}would migrate ${counts.migrated} of ${counts.processed} rows${copied(report)} ` +
      `(${counts.skipped} skipped, ${counts.ambiguous} ambiguous, ${counts.failed} failing)`,
    ...(lost > 0 ? [`${plural(lost, 'value')} would be rounded or cut`] : []),
    `looked at in ${formatMs(durationMs)}`,
    ...(forecast ? [`forecast: ${forecastText(forecast)}`] : []),
    ...notes,
  ].join('; ');
}

function forecastText({ seconds, walBytes, diskBytes }: BackfillForecast): string {
  return `${formatSecondRange(seconds)}, ${formatByteRange(walBytes)} of WAL, ${formatByteRange(diskBytes)} of disk`;
}

function copied({ copies }: DryRunReport): string {
  if (!copies) return '';
  const { into, inserted, updated } = copies;
  return ` into ${into}: ${plural(inserted, 'row')} inserted, ${updated} brought up to date`;
}
