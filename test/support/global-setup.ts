import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { loadConfig } from '../../src/config.ts';
import { startPostgres } from '../../src/dev/postgres.ts';
import { startTemporal } from '../../src/dev/temporal.ts';
import { findTemporal } from '../../src/dev/temporal-executable.ts';
import { temporaryDirectory } from './temporary-directory.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Superuser's URL of the run's PostgreSQL; tests use databases of their own on it. */
    postgresUrl: string;
    /** host:port of the run's Temporal server; tests use namespaces of their own on it. */
    temporalAddress: string;
    /** A Temporal CLI, for tests that start a server of their own. */
    temporalExecutable: string;
    /** File of the bundled workflow code, so that not every worker bundles it anew. */
    workflowBundle: string;
  }
}

const say = (line: string) => process.stderr.write(`${line}\n`);

/** One PostgreSQL and one Temporal server for the whole run, in a directory that goes with it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { cacheDir, environment } = loadConfig();
  const executable = await findTemporal({ cacheDir, environment, say });
  const directory = temporaryDirectory();
  const servers = await Promise.allSettled([
    startPostgres({
      dir: join(directory.path, 'postgres'),
      say,
      settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
    }),
    startTemporal({ dir: join(directory.path, 'temporal'), executable, environment, say }),
  ]);
  const teardown = async () => {
    for (const server of servers) if (server.status === 'fulfilled') await server.value.stop();
    directory.remove();
  };
  const [postgres, temporal] = servers;
  if (postgres.status === 'rejected' || temporal.status === 'rejected') {
    await teardown();
    throw postgres.status === 'rejected' ? postgres.reason : (temporal as PromiseRejectedResult).reason;
  }
  project.provide('postgresUrl', postgres.value.url);
  project.provide('temporalAddress', temporal.value.address);
  project.provide('temporalExecutable', executable);
  project.provide('workflowBundle', await bundleWorkflows(join(directory.path, 'workflows.js')));
  return teardown;
}

async function bundleWorkflows(file: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('WARN'),
  });
  await writeFile(file, code);
  return file;
}
