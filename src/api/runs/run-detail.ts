import { latestMeasurements } from '../../db/gate-measurements.ts';
import { findPlan, type RegisteredPlan } from '../../db/plans.ts';
import { listPhases, type RunPhase } from '../../db/run-phases.ts';
import { findRun, type Run } from '../../db/runs.ts';
import type { Plan } from '../../domain/plan.ts';
import { RUN_COMMANDS, type RunSituation, refusal } from '../../domain/run-state.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { unknownRun } from '../errors/problem.ts';
import { presentMeasurement } from '../present/records.ts';
import { presentPhase, presentRun } from '../present/run.ts';
import { waitingFor } from '../present/waiting-for.ts';
import type { RunDetail } from '../schemas/runs.ts';

/** @throws ApiProblem when there is no such run. */
export async function requireRun({ db }: Pick<ApiDependencies, 'db'>, runId: string): Promise<Run> {
  const run = await findRun(db, runId);
  if (!run) throw unknownRun(runId);
  return run;
}

/** The plan in the version that the run is pinned to. */
export async function planOf({ db }: Pick<ApiDependencies, 'db'>, run: Run): Promise<RegisteredPlan> {
  const plan = await findPlan(db, run.planName, run.planVersion);
  if (!plan) throw new Error(`run ${run.id} is pinned to ${run.planName} ${run.planVersion}, which is gone`);
  return plan;
}

/** Everything that there is to see of a run at a glance. */
export async function describeRun(deps: ApiDependencies, run: Run): Promise<RunDetail> {
  const [{ document }, phases, measurements] = await Promise.all([
    planOf(deps, run),
    listPhases(deps.db, [run.id]),
    latestMeasurements(deps.db, run.id),
  ]);
  const planned = new Map(document.phases.map((phase) => [phase.name, phase]));
  const situation = situationOf(run, phases, document);
  return {
    ...presentRun(run),
    waitingFor: waitingFor(
      run,
      planned.get(run.phase ?? ''),
      phases.find(({ name }) => name === run.phase)?.progress,
    ),
    commands: RUN_COMMANDS.filter((command) => refusal(command, situation) === undefined),
    phases: phases.map((phase) => presentPhase(run, phase, planned.get(phase.name))),
    gates: measurements.map(presentMeasurement),
    links: linksOf(deps, run.id),
  };
}

/** What the state machine needs to know of the run, read from its rows. */
export function situationOf(run: Run, phases: RunPhase[], plan: Plan): RunSituation {
  const isPointOfNoReturn = (name: string) =>
    plan.phases.some((phase) => phase.name === name && phase.pointOfNoReturn);
  return {
    status: run.status,
    phaseKind: phases.find(({ name }) => name === run.phase)?.kind,
    pastPointOfNoReturn: phases.find(({ name, state }) => state !== 'pending' && isPointOfNoReturn(name))
      ?.name,
  };
}

function linksOf({ temporal, webUiUrl }: ApiDependencies, runId: string): RunDetail['links'] {
  const self = `/api/runs/${encodeURIComponent(runId)}`;
  const namespace = encodeURIComponent(temporal.options.namespace);
  return {
    self,
    events: `${self}/events`,
    report: `${self}/report`,
    exceptions: `${self}/exceptions`,
    webUi: webUiUrl ? `${webUiUrl}/namespaces/${namespace}/workflows/${encodeURIComponent(runId)}` : null,
  };
}
