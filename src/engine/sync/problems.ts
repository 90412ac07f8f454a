import type { BackfillPhase, SyncPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { namesIn } from '../../domain/sql-lexer.ts';
import { listComputedColumns, readTriggerSite } from '../../targets/postgres/sync/inspect.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { SyncJob } from './job.ts';

/** What keeps the sync's triggers from being put on the table as it is now. Writes nothing; paths are relative to the phase. */
export async function triggerProblems(
  session: Session,
  { phase, backfill }: Pick<SyncJob, 'phase' | 'backfill'>,
): Promise<PlanProblem[]> {
  if (phase.mode === 'application') return [];
  const { table } = backfill;
  const site = await readTriggerSite(session, table);
  if (!site) {
    const fix = 'check its spelling, its schema, and that the target is the right database';
    return [{ path: 'backfill', problem: `the target has no table "${table}"`, fix }];
  }
  if (site.kind === 'other') {
    const fix = 'name the table behind it in the backfill, or use mode: application';
    return [{ path: 'mode', problem: `triggers need a table, and ${table} is none`, fix }];
  }
  const problems: PlanProblem[] = [];
  if (site.hasChildren) {
    problems.push({
      path: 'mode',
      problem: `other tables inherit from ${table}, and its triggers would not see what is written to them`,
      fix: 'use mode: application, or one plan per table',
    });
  }
  if (!site.mayCreateTriggers) {
    problems.push({
      path: 'mode',
      problem: `the target's role may not create triggers on ${table}`,
      fix: `GRANT TRIGGER ON ${table} to it, or use the role that owns the table`,
    });
  }
  return [...problems, ...(await computedColumnProblems(session, { phase, backfill }))];
}

/** Columns that the database computes are still empty when a row is about to be written. */
async function computedColumnProblems(
  session: Session,
  { phase, backfill }: Pick<SyncJob, 'phase' | 'backfill'>,
): Promise<PlanProblem[]> {
  const { transform, table, where } = backfill;
  if (phase.mode !== 'trigger' || transform.kind !== 'sql') return [];
  const expressions = [...Object.values(transform.set), where ?? ''];
  const read = (await listComputedColumns(session, table)).filter((column) =>
    expressions.some((expression) => namesIn(expression).has(column)),
  );
  return read.map((column) => ({
    path: 'mode',
    problem: `an expression reads "${column}", which the database computes only after the trigger has run`,
    fix: `use mode: capture, or write out what "${column}" is computed from`,
  }));
}

/** As {@link triggerProblems}, in a transaction of its own that only reads. */
export function preflightSync(
  target: Target,
  phase: SyncPhase,
  backfill: BackfillPhase,
): Promise<PlanProblem[]> {
  return target.transaction({ readOnly: true, lockTimeoutMs: 5_000, statementTimeoutMs: 30_000 }, (session) =>
    triggerProblems(session, { phase, backfill }),
  );
}
