import type { DryRunPhaseInput, DryRunPhaseReport } from '../contracts/activities.ts';
import { storeDryRunPhase } from '../db/dry-runs.ts';
import { openLogEntry, updateLogEntry } from '../db/migration-log.ts';
import { formatMs } from '../domain/duration.ts';
import type { BackfillPhase, BackupPhase, Phase, ValidatePhase } from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { dryRunBackfill } from '../engine/dry-run.ts';
import { describeTable } from '../targets/postgres/catalog.ts';
import { classifySqlError } from '../targets/postgres/errors.ts';
import { readOnlyQuery } from '../targets/postgres/read-only-query.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { recorded } from './records.ts';
import { runQuery } from './validate.ts';

export function dryRunActivities(dependencies: Dependencies) {
  return {
    dryRunPhase: (input: DryRunPhaseInput): Promise<{ summary: string }> =>
      whileHeartbeating(async (signal) => {
        const { phase } = input;
        const report = await dryRunOf(dependencies, input, phase, signal);
        await recorded(
          storeDryRunPhase(dependencies.db, input.dryRunId, {
            name: phase.name,
            kind: phase.kind,
            ...report,
          }),
        );
        return { summary: report.summary };
      }),
  };
}

type Report = Pick<DryRunPhaseReport, 'summary' | 'details'>;

function dryRunOf(
  dependencies: Dependencies,
  input: DryRunPhaseInput,
  phase: Phase,
  signal: AbortSignal,
): Report | Promise<Report> {
  switch (phase.kind) {
    case 'backfill':
      return backfill(dependencies, input, phase, signal);
    case 'backup':
      return backup(dependencies, input, phase, signal);
    case 'validate':
      return validate(dependencies, input, phase, signal);
    case 'schema':
      return {
        summary: `would apply ${plural(phase.up.length, 'statement')}`,
        details: { up: phase.up, down: phase.down },
      };
    case 'cleanup':
      return {
        summary: `would apply ${plural(phase.statements.length, 'statement')}`,
        details: { statements: phase.statements },
      };
    case 'approval': {
      const { count, roles, people, deadline } = phase;
      return {
        summary: `would wait for ${plural(count, 'approval')} within ${deadline}`,
        details: { count, roles, people, deadline },
      };
    }
    case 'rollout': {
      const stages = phase.stages.map(({ percentage, hold }) => `${percentage} % for ${hold}`).join(', ');
      return { summary: `would roll ${phase.flag.name} out: ${stages}`, details: { stages: phase.stages } };
    }
    case 'soak':
      return {
        summary: `would watch ${phase.flag.name} at 100 % for ${phase.for}`,
        details: { for: phase.for },
      };
  }
}

async function backfill(
  dependencies: Dependencies,
  input: DryRunPhaseInput,
  phase: BackfillPhase,
  signal: AbortSignal,
): Promise<Report> {
  const { plan, dryRunId, performedBy, batchSize, offset, limit } = input;
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
  const report = await dryRunBackfill(target, job, { batchSize, offset, limit, signal });
  const { counts, durationMs } = report;
  await recorded(updateLogEntry(dependencies.db, key, { counts, outcome: 'completed', errorDetails: [] }));
  const summary =
    `would migrate ${counts.migrated} of ${counts.processed} rows (${counts.skipped} skipped, ` +
    `${counts.ambiguous} ambiguous, ${counts.failed} failing); looked at in ${formatMs(durationMs)}`;
  return { summary, details: { ...report } };
}

async function backup(
  dependencies: Dependencies,
  { plan }: DryRunPhaseInput,
  phase: BackupPhase,
  signal: AbortSignal,
): Promise<Report> {
  const target = targetNamed(dependencies, plan.target);
  const tables: { table: string; rows: number }[] = [];
  for (const { table, where } of phase.tables) {
    const shape = await target.transaction({ readOnly: true, signal }, (session) =>
      describeTable(session, table),
    );
    if (!shape) continue;
    const condition = where ? ` WHERE (${where}\n)` : '';
    const { rows } = await readOnlyQuery(
      target,
      `SELECT count(*)::text AS n FROM ${shape.qualifiedName}${condition}`,
      {},
      { signal },
    );
    tables.push({ table, rows: Number(rows[0]?.n) });
  }
  return {
    summary: tables.map(({ table, rows }) => `would copy ${rows} rows of ${table}`).join(', '),
    details: { tables },
  };
}

/** Runs the queries as things are now; those that need a column which the run adds can't be run yet. */
async function validate(
  dependencies: Dependencies,
  { plan, dryRunId }: DryRunPhaseInput,
  phase: ValidatePhase,
  signal: AbortSignal,
): Promise<Report> {
  const target = targetNamed(dependencies, plan.target);
  const queries: Record<string, unknown>[] = [];
  for (const query of phase.queries) {
    try {
      queries.push(await runQuery(target, query, dryRunId, signal));
    } catch (error) {
      if (signal.aborted || classifySqlError(error) === 'retryable') throw error;
      queries.push({ name: query.name, notYet: (error as Error).message });
    }
  }
  const notYet = queries.filter((query) => 'notYet' in query).length;
  const summary = `${plural(phase.queries.length, 'query', 'queries')}${notYet > 0 ? `, ${notYet} of them only after what the run adds` : ''}`;
  return { summary, details: { queries } };
}
