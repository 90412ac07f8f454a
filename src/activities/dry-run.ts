import type { DryRunPhaseInput, DryRunPhaseReport } from '../contracts/activities.ts';
import { storeDryRunPhase } from '../db/dry-runs.ts';
import { lintPlanDdl } from '../ddl-lint/lint-plan.ts';
import type {
  BackupPhase,
  CleanupPhase,
  Phase,
  RolloutPhase,
  SchemaPhase,
  SoakPhase,
  SyncPhase,
  ValidatePhase,
} from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { checkQuery } from '../engine/preflight/plan-queries.ts';
import { describeTable } from '../targets/postgres/catalog.ts';
import { classifySqlError } from '../targets/postgres/errors.ts';
import { readOnlyQuery } from '../targets/postgres/read-only-query.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { dryRunOfBackfill } from './dry-run-backfill.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { GATE_PARAMETERS } from './preflight.ts';
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

const SYNC_MODES: Record<SyncPhase['mode'], string> = {
  trigger: 'by triggers in the application’s own transactions',
  capture: 'by noting the keys of changed rows and deriving those soon after',
  application: 'watching that the application writes both shapes',
};

type Report = Pick<DryRunPhaseReport, 'summary' | 'details'>;

function dryRunOf(
  dependencies: Dependencies,
  input: DryRunPhaseInput,
  phase: Phase,
  signal: AbortSignal,
): Report | Promise<Report> {
  switch (phase.kind) {
    case 'backfill':
      return dryRunOfBackfill(dependencies, input, phase, signal);
    case 'backup':
      return backup(dependencies, input, phase, signal);
    case 'validate':
      return validate(dependencies, input, phase, signal);
    case 'schema':
      return ddl(phase, { up: phase.up, down: phase.down });
    case 'cleanup':
      return ddl(phase, { statements: phase.statements });
    case 'sync': {
      const { mode, backfill, watchInterval, onDrift } = phase;
      const summary = `would keep what is written meanwhile as "${backfill}" makes it, ${SYNC_MODES[mode]}`;
      return { summary, details: { mode, backfill, watchInterval, onDrift } };
    }
    case 'verify': {
      const { backfill, onDrift, batchSize, parallelism } = phase;
      const then = onDrift === 'repair' ? 'repair those that differ' : 'fail if any differs';
      const summary = `would derive every row of "${backfill}" again, and ${then}`;
      return { summary, details: { backfill, onDrift, batchSize, parallelism } };
    }
    case 'approval': {
      const { count, roles, people, deadline } = phase;
      return {
        summary: `would wait for ${plural(count, 'approval')} within ${deadline}`,
        details: { count, roles, people, deadline },
      };
    }
    case 'rollout': {
      const stages = phase.stages.map(({ percentage, hold }) => `${percentage} % for ${hold}`).join(', ');
      const summary = `would roll ${phase.flag.name} out: ${stages}`;
      return gated(dependencies, input, phase, { summary, details: { stages: phase.stages } });
    }
    case 'soak': {
      const summary = `would watch ${phase.flag.name} at 100 % for ${phase.for}`;
      return gated(dependencies, input, phase, { summary, details: { for: phase.for } });
    }
  }
}

/** What the DDL linter found, and why it was accepted, is for whoever approves the run. */
async function ddl(phase: SchemaPhase | CleanupPhase, statements: Record<string, string[]>): Promise<Report> {
  const applied = phase.kind === 'schema' ? phase.up : phase.statements;
  const { findings } = await lintPlanDdl({ phases: [phase] });
  const waived = findings.filter(({ waivedBecause }) => waivedBecause !== undefined).length;
  const noted = waived > 0 ? `, ${plural(waived, 'finding')} of the DDL linter waived` : '';
  return {
    summary: `would apply ${plural(applied.length, 'statement')}${noted}`,
    details: {
      ...statements,
      findings: findings.map(({ path, ...finding }) => ({
        path: path.replace(/^phases\[0\]\./, ''),
        ...finding,
      })),
    },
  };
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

/** Gates that need a column which the run adds can't be checked yet; preflight has refused those that are wrong. */
async function gated(
  dependencies: Dependencies,
  { plan }: DryRunPhaseInput,
  phase: RolloutPhase | SoakPhase,
  { summary, details }: Report,
): Promise<Report> {
  const target = targetNamed(dependencies, plan.target);
  const earlier = plan.phases.slice(
    0,
    plan.phases.findIndex(({ name }) => name === phase.name),
  );
  const gates: { name: string; notYet?: string }[] = [];
  for (const { name, sql } of phase.gates) {
    const check = await checkQuery(target, sql, GATE_PARAMETERS, earlier);
    gates.push(check.kind === 'fine' ? { name } : { name, notYet: check.why });
  }
  const notYet = gates.filter((gate) => 'notYet' in gate).length;
  const noted = notYet > 0 ? `; ${plural(notYet, 'gate')} can be checked only after what the run adds` : '';
  return { summary: summary + noted, details: { ...details, gates } };
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
