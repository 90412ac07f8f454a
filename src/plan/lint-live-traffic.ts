import { durationMs } from '../domain/duration.ts';
import type { BackfillPhase, SyncPhase, VerifyPhase } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { namesIn } from '../domain/sql-lexer.ts';
import type { PlanParts } from './plan-parts.ts';

/** Rules between phases that deal with live traffic and the backfills that they name. */
export function lintLiveTraffic({ phases }: PlanParts): PlanProblem[] {
  return phases.flatMap((phase, index) => {
    const path = `phases[${index}]`;
    switch (phase.kind) {
      case 'sync':
        return [...backfillExists(phase, path, phases), ...syncIsPossible(phase, path, phases)];
      case 'verify':
        return [...backfillExists(phase, path, phases), ...backfillComesFirst(phase, path, phases)];
      case 'backfill':
        return conditionOutlivesTheBackfill(phase, path, phases);
      default:
        return [];
    }
  });
}

function backfillNamed(name: string, phases: PlanParts['phases']): BackfillPhase | undefined {
  return phases.find((phase): phase is BackfillPhase => phase.kind === 'backfill' && phase.name === name);
}

function backfillExists(
  { kind, backfill }: SyncPhase | VerifyPhase,
  path: string,
  phases: PlanParts['phases'],
): PlanProblem[] {
  if (backfillNamed(backfill, phases) || phases.some((phase) => phase.kind === 'unreadable')) return [];
  const known = phases.filter((phase) => phase.kind === 'backfill').map(({ name }) => `"${name}"`);
  return [
    {
      path: `${path}.backfill`,
      problem: `there is no backfill phase "${backfill}" to ${kind}`,
      fix: known.length > 0 ? `name one of ${known.join(', ')}` : 'add a backfill phase',
    },
  ];
}

/** Before its backfill there is nothing to verify. */
function backfillComesFirst(phase: VerifyPhase, path: string, phases: PlanParts['phases']): PlanProblem[] {
  const backfill = backfillNamed(phase.backfill, phases);
  if (!backfill || phases.indexOf(backfill) < phases.indexOf(phase)) return [];
  return [
    {
      path: `${path}.backfill`,
      problem: `verifies "${phase.backfill}", which comes later in the plan`,
      fix: 'put it after that phase',
    },
  ];
}

function syncIsPossible(phase: SyncPhase, path: string, phases: PlanParts['phases']): PlanProblem[] {
  const problems: PlanProblem[] = [];
  const problem = (key: string, text: string, fix: string) =>
    problems.push({ path: `${path}.${key}`, problem: text, fix });
  const transform = backfillNamed(phase.backfill, phases)?.transform;
  if (phase.mode === 'trigger' && transform?.kind === 'registered') {
    problem(
      'mode',
      'is trigger, and the database cannot run a registered transform',
      'use mode: capture, which has Cutover run it soon after each change',
    );
  }
  if (phase.mode !== 'application' && transform?.kind === 'insert' && transform.onConflict === 'nothing') {
    problem(
      'mode',
      'follows changes of rows, but the backfill leaves copies alone that are there already (onConflict: nothing)',
      'set onConflict: update there, so that a copy follows its row',
    );
  }
  if (durationMs(phase.watchInterval) === 0) problem('watchInterval', 'is zero', 'look at most every 1s');
  const rival = phases.find(
    (other) => other.kind === 'sync' && other !== phase && other.backfill === phase.backfill,
  );
  if (rival && phases.indexOf(rival) < phases.indexOf(phase)) {
    problem(
      'backfill',
      `"${phase.backfill}" is kept in sync by "${rival.name}" already`,
      'remove one of the two',
    );
  }
  return problems;
}

/** A condition that the backfill itself makes false would hide its rows from sync and verify, which deal with them later. */
function conditionOutlivesTheBackfill(
  phase: BackfillPhase,
  path: string,
  phases: PlanParts['phases'],
): PlanProblem[] {
  const { where, transform } = phase;
  const followers = phases.filter(
    (other) => (other.kind === 'sync' || other.kind === 'verify') && other.backfill === phase.name,
  );
  if (where === undefined || transform.kind !== 'sql' || followers.length === 0) return [];
  const mentioned = Object.keys(transform.set).filter((column) => namesIn(where).has(column));
  if (mentioned.length === 0) return [];
  const by = followers.map(({ kind, name }) => `${kind} "${name}"`).join(' and ');
  return [
    {
      path: `${path}.where`,
      problem: `reads ${mentioned.map((column) => `"${column}"`).join(', ')}, which the backfill writes: rows would drop out of ${by} once they are migrated`,
      fix: 'say there which rows the transform is for, and under `pending` which of them still need it',
    },
  ];
}
