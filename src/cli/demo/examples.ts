import { dirname, extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { type ExampleSystem, exampleSystems } from '../../../examples/index.ts';
import type { RegisteredPlan } from '../../api/schemas/plans.ts';
import type { RunList } from '../../api/schemas/runs.ts';
import { isFinal } from '../../domain/run-state.ts';
import { loadPlanFile } from '../../plan/load.ts';
import type { ApiClient } from '../api-client.ts';
import { CliError, EXIT } from '../exit.ts';
import { getRun } from '../follow-run.ts';

/** Database of the example systems; nobody's own tables are ever in it. */
export const EXAMPLES_DATABASE = 'cutover_examples';

const SETTLE_MS = 60_000;

// Source and build differ in the ending of their files.
const MODULE = extname(fileURLToPath(import.meta.url));

/** The modules that register the transforms of the example plans. */
export function exampleTransforms(): string[] {
  return exampleSystems.map(({ planFile }) => join(dirname(planFile), `transforms${MODULE}`));
}

export async function loadExamples(url: string): Promise<void> {
  await withClient(url, async (client) => {
    for (const system of exampleSystems) await system.load(client);
  });
}

/** Registers the plans of the example systems; as they are, so that what is wrong is said by the server. */
export async function registerExamples(client: ApiClient): Promise<RegisteredPlan[]> {
  const registered: RegisteredPlan[] = [];
  for (const { planFile } of exampleSystems) {
    registered.push(
      await client.post<RegisteredPlan>('/api/plans', await loadPlanFile(planFile.replace(/\.ts$/, MODULE))),
    );
  }
  return registered;
}

/**
 * Ends runs of the example plans that an interrupted demo left, by rolling them back.
 * @throws CliError when one of them does not end.
 */
export async function settleLeftovers(
  client: ApiClient,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { runs } = await client.get<RunList>('/api/runs?limit=1000');
  const leftovers = runs.filter(
    (run) => !isFinal(run.status) && exampleSystems.some(({ name }) => name === run.plan),
  );
  for (const { id } of leftovers) {
    say(`Rolling back ${id}, which an interrupted demo left`);
    const deadline = Date.now() + SETTLE_MS;
    let run = await getRun(client, id, signal);
    while (!isFinal(run.status)) {
      const command =
        run.commands.find((one) => one === 'rollback') ?? run.commands.find((one) => one === 'resume');
      // Refused when the run has moved on in between; then the next round sees it.
      if (command)
        await client.post(`/api/runs/${id}/${command}`, { reason: 'demo starts anew' }).catch(() => {});
      if (Date.now() > deadline) {
        throw new CliError(
          `run ${id} of an earlier demo does not end: it is ${run.status}, ${run.reason ?? ''}`,
          {
            exitCode: EXIT.failed,
            next: 'start the demo in a fresh directory with --dir',
          },
        );
      }
      await delay(250, undefined, { ...(signal && { signal }) });
      run = await getRun(client, id, signal);
    }
  }
}

/** A flag as the application's own table has it in the end; undefined when it is no longer there. */
export async function readFlag(
  url: string,
  { flag }: Pick<ExampleSystem, 'flag'>,
): Promise<{ enabled: boolean; percentage: number } | undefined> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ enabled: boolean; percentage: number }>(
      'SELECT enabled, rollout_percentage AS percentage FROM feature_flags WHERE name = $1',
      [flag],
    );
    return rows[0];
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
