import { type ExampleSystem, exampleSystems } from '../../../examples/index.ts';
import { startTraffic } from '../../../examples/shared/traffic.ts';
import type { Report } from '../../api/schemas/report.ts';
import type { Run, RunDetail } from '../../api/schemas/runs.ts';
import type { ApiClient } from '../api-client.ts';
import type { Cli } from '../cli.ts';
import { dryRun } from '../commands/dry-run.ts';
import type { DevServer } from '../dev-server.ts';
import { followRun, getPlan } from '../follow-run.ts';
import { dryRunLines } from '../output/dry-run.ts';
import { indent } from '../output/table.ts';
import { loadExamples, readFlag, registerExamples, settleLeftovers } from './examples.ts';
import type { Outcome } from './outcome.ts';
import { Screen } from './screen.ts';

export type DemoOptions = {
  /** The new behaviour begins to fail when the flags reach this percentage. */
  failAt?: number | undefined;
  timeScale: number;
};

/** Enough requests for each gate within the shortest hold. */
const REQUESTS_PER_SECOND = 400;

/** The demo's people: one may start runs, another one approves them. */
type People = { operator: ApiClient; approver: ApiClient };

/** Runs the plans of both example systems to their end, in front of simulated users. */
export async function runDemo(cli: Cli, server: DevServer, options: DemoOptions): Promise<Outcome[]> {
  const { out, signal } = cli;
  const people = { operator: server.client('operator'), approver: server.client('approver') };
  const admin = server.client('admin');
  await settleLeftovers(admin, (line) => out.say(line), signal);
  await server.recreateApp();
  await loadExamples(server.appUrl);
  out.say(`Example systems: ${exampleSystems.map(({ name }) => name).join(', ')}, freshly loaded`);
  for (const { name, version } of await registerExamples(admin)) await showDryRun(cli, admin, name, version);

  const traffic = startTraffic({
    url: server.appUrl,
    flags: exampleSystems.map(({ flag }) => flag),
    rate: REQUESTS_PER_SECOND,
    ...(options.failAt !== undefined && { failAt: options.failAt }),
  });
  const screen = new Screen(out);
  screen.say(runningLine(options));
  screen.start();
  try {
    return await Promise.all(
      exampleSystems.map((system) => runPlan(system, people, server, screen, options.timeScale, signal)),
    );
  } finally {
    screen.end();
    await traffic.stop();
  }
}

function runningLine({ failAt, timeScale }: DemoOptions): string {
  const fault =
    failAt === undefined ? '' : `; from ${failAt} % on, 1 in 19 requests of the new behaviour fails`;
  const hours = 3_600 / timeScale;
  return `\nRunning both plans, an hour of their holds in ${Number(hours.toPrecision(2))} s, under simulated users${fault}`;
}

async function showDryRun(cli: Cli, admin: ApiClient, plan: string, version: number): Promise<void> {
  const { out, signal } = cli;
  const { report } = await dryRun(admin, plan, {}, signal);
  out.say(['', `${out.style.bold(plan)} version ${version}: dry run`]);
  out.say(indent(dryRunLines(out.style, report, { short: true })));
}

async function runPlan(
  system: ExampleSystem,
  people: People,
  server: DevServer,
  screen: Screen,
  timeScale: number,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const { operator, approver } = people;
  const started = await operator.post<Run>('/api/runs', { plan: system.name, timeScale }, { signal });
  screen.view(started.id).plan = await getPlan(operator, started, signal);
  let asked = false;
  const approveOnce = (run: RunDetail) => {
    if (run.status !== 'awaiting_approval' || asked) return;
    asked = true;
    screen.say(`The demo approves "${run.phase}" of ${run.id}, as the holder of the approver's token`);
    approver.post(`/api/runs/${run.id}/approve`, { reason: 'the demo approves by itself' }).catch(() => {
      asked = false;
    });
  };
  const run = await followRun(
    operator,
    started.id,
    {
      event: (event) => screen.event(started.id, system.name, event),
      detail(detail) {
        screen.detail(detail);
        approveOnce(detail);
      },
      reconnecting: (reason) => screen.say(`Lost the events of ${started.id} (${reason}); trying again`),
    },
    signal,
  );
  const report = await operator.get<Report>(`/api/runs/${run.id}/report?format=json`, { signal });
  const flag = await readFlag(server.appUrl, system);
  return { system, run, report, validation: screen.view(run.id).validation, flag };
}
