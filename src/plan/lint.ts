import { durationMs } from '../domain/duration.ts';
import type { BackfillPhase, FlagReference, Phase, RolloutPhase, SoakPhase } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { lintExpressions } from './lint-expressions.ts';
import { lintInsert } from './lint-insert.ts';
import { lintLiveTraffic } from './lint-live-traffic.ts';
import type { PlanParts } from './plan-parts.ts';

/** What a schema can't say: rules between the parts of a plan. Nothing is missed that an unreadable phase may turn out to be. */
export function lintPlan(plan: PlanParts): PlanProblem[] {
  return [
    ...duplicateNames(plan.phases, 'phases'),
    ...endpointNeedsBackfill(plan),
    ...lintLiveTraffic(plan),
    ...plan.phases.flatMap((phase, index) =>
      lintPhase(phase, `phases[${index}]`, plan.phases.slice(0, index)),
    ),
  ];
}

function lintPhase(
  phase: PlanParts['phases'][number],
  path: string,
  before: PlanParts['phases'],
): PlanProblem[] {
  switch (phase.kind) {
    case 'schema':
      return schemaIsReversible(phase, path);
    case 'validate':
      return duplicateNames(phase.queries, `${path}.queries`);
    case 'rollout':
      return [
        ...stagesRise(phase, path),
        ...duplicateNames(phase.gates, `${path}.gates`),
        ...gateTimes(phase, path),
      ];
    case 'soak':
      return [
        ...flagWasRolledOut(phase.flag, `${path}.flag`, before),
        ...duplicateNames(phase.gates, `${path}.gates`),
        ...gateTimes(phase, path),
      ];
    case 'cleanup':
      return phase.after
        ? flagWasRolledOut(phase.after.flag, `${path}.after.flag`, before)
        : cleanupIsGuarded(path, before);
    case 'backfill':
      return [...undoIsPossible(phase, path), ...lintExpressions(phase, path), ...lintInsert(phase, path)];
    default:
      return [];
  }
}

function duplicateNames(items: { name: string | undefined }[], path: string): PlanProblem[] {
  const seen = new Set<string>();
  return items.flatMap((item, index) => {
    if (item.name === undefined) return [];
    if (!seen.has(item.name)) {
      seen.add(item.name);
      return [];
    }
    return [
      {
        path: `${path}[${index}].name`,
        problem: `"${item.name}" is used twice`,
        fix: 'give each its own name',
      },
    ];
  });
}

function endpointNeedsBackfill(plan: PlanParts): PlanProblem[] {
  const served = plan.phases.some(({ kind }) => kind === 'backfill' || kind === 'unreadable');
  if (!plan.endpoint || served) return [];
  return [
    {
      path: 'endpoint',
      problem: 'serves a backfill, and the plan has none',
      fix: 'add a backfill phase or remove `endpoint`',
    },
  ];
}

function schemaIsReversible(phase: Extract<Phase, { kind: 'schema' }>, path: string): PlanProblem[] {
  if (phase.down.length > 0 || phase.pointOfNoReturn) return [];
  return [
    {
      path: `${path}.down`,
      problem: 'is empty, so the phase cannot be undone',
      fix: 'list the statements that undo `up`, or set pointOfNoReturn: true',
    },
  ];
}

function stagesRise(phase: RolloutPhase, path: string): PlanProblem[] {
  return phase.stages.flatMap((stage, index) => {
    const previous = phase.stages[index - 1];
    if (!previous || stage.percentage > previous.percentage) return [];
    return [
      {
        path: `${path}.stages[${index}].percentage`,
        problem: `is ${stage.percentage}, after ${previous.percentage}`,
        fix: 'percentages must rise from stage to stage',
      },
    ];
  });
}

function gateTimes(phase: RolloutPhase | SoakPhase, path: string): PlanProblem[] {
  const holds =
    phase.kind === 'rollout' ? phase.stages.map((stage) => durationMs(stage.hold)) : [durationMs(phase.for)];
  const shortest = Math.min(...holds);
  return phase.gates.flatMap((gate, index) => {
    const problems: PlanProblem[] = [];
    if (durationMs(gate.interval) === 0) {
      problems.push({
        path: `${path}.gates[${index}].interval`,
        problem: 'is zero',
        fix: 'measure at most every 1s',
      });
    }
    if (durationMs(gate.interval) > shortest) {
      problems.push({
        path: `${path}.gates[${index}].interval`,
        problem: `is ${gate.interval}, longer than the shortest hold`,
        fix: 'measure at least once within every hold',
      });
    }
    return problems;
  });
}

function flagWasRolledOut(flag: FlagReference, path: string, before: PlanParts['phases']): PlanProblem[] {
  const rollout = before.find(
    (phase): phase is RolloutPhase =>
      phase.kind === 'rollout' && phase.flag.name === flag.name && phase.flag.table === flag.table,
  );
  if (!rollout) {
    if (before.some(({ kind }) => kind === 'unreadable')) return [];
    return [
      {
        path,
        problem: `no earlier phase rolls out "${flag.name}"`,
        fix: 'add a rollout phase for it before this one',
      },
    ];
  }
  if (rollout.stages.at(-1)?.percentage !== 100) {
    return [
      {
        path,
        problem: `"${flag.name}" never reaches 100 %`,
        fix: `end rollout "${rollout.name}" with a stage of 100`,
      },
    ];
  }
  return [];
}

function cleanupIsGuarded(path: string, before: PlanParts['phases']): PlanProblem[] {
  const rollout = before.find((phase): phase is RolloutPhase => phase.kind === 'rollout');
  if (!rollout) return [];
  return [
    {
      path: `${path}.after`,
      problem: `is missing, though the plan rolls out "${rollout.flag.name}"`,
      fix: `add after: {flag: {name: ${rollout.flag.name}}, for: 2w}, so that nothing is dropped while the flag can still need it`,
    },
  ];
}

function undoIsPossible(phase: BackfillPhase, path: string): PlanProblem[] {
  if (phase.undo.kind === 'none' && !phase.pointOfNoReturn) {
    return [
      {
        path: `${path}.undo`,
        problem: 'is none, so the rows cannot be restored',
        fix: 'use {kind: journal}, or set pointOfNoReturn: true',
      },
    ];
  }
  if (phase.undo.kind === 'sql' && !/:keys\b/.test(phase.undo.statement)) {
    return [
      {
        path: `${path}.undo.statement`,
        problem: 'does not use :keys, so every batch would undo the whole table',
        fix: 'limit it to the batch, as in WHERE id = ANY(:keys)',
      },
    ];
  }
  return [];
}
