import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker, type WorkerOptions, type WorkflowBundleOption } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createControlActivities, createTargetActivities } from '../activities/index.ts';
import type { WorkerConfig } from '../config.ts';
import { CONTROL_QUEUE, laneQueue, targetQueue, watchQueue } from '../contracts/names.ts';
import { type ControlDb, migrateControlDb, openControlDb } from '../db/control-db.ts';
import { createPostgresTarget } from '../targets/postgres/connection.ts';
import type { Target } from '../targets/target.ts';
import { installRuntime } from './runtime.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { loadTransforms } from './transforms.ts';

export type RunningWorker = {
  /** Rejects when the worker ends by a fault that it can't recover from. */
  stopped: Promise<void>;
  /** Lets running activities reach a batch border, then ends. */
  close(): Promise<void>;
};

export type WorkerSetup = {
  logger: Logger;
  /** Workflow code that was bundled before; bundled at start otherwise. */
  workflowBundle?: WorkflowBundleOption;
};

/** How long running activities may take to notice the shutdown before their connections are cut. */
const GRACE = '5s';
const FORCE_AFTER = '20s';
/**
 * Activities hear of a pause or a rollback in the answer to a heartbeat. Temporal's own pace, most of the heartbeat timeout,
 * would let a backfill write on for seconds after its run was called paused.
 */
const MAX_HEARTBEAT_THROTTLE = '1s';
/** Syncs of one target that a worker looks after at once; each takes a connection for moments only. */
const MOST_WATCHES = 100;
/** Workflows kept in memory; others are replayed from their history when something happens to them. */
const MAX_CACHED_WORKFLOWS = 500;

/** Serves the workflows and, for each configured target, its activities with as many slots as the target has
 * connections; the lanes, which take a slot for minutes, have a queue and connections of their own. */
export async function startWorker(
  config: WorkerConfig,
  { logger, workflowBundle }: WorkerSetup,
): Promise<RunningWorker> {
  const transforms = await loadTransforms(config.transforms);
  const db = openControlDb(config.databaseUrl, (error) =>
    logger.warn({ err: error }, 'control database connection lost'),
  );
  const targets = new Map<string, Target>(
    Object.entries(config.targets).map(([name, { url, poolSize, budget }]) => [
      name,
      createPostgresTarget({ name, url, poolSize, budget }),
    ]),
  );
  const { address, namespace, tls, apiKey } = config.temporal;
  let connection: NativeConnection | undefined;
  const release = async () => {
    await transforms.close();
    await Promise.allSettled([...targets.values()].map((target) => target.close()));
    await db.close();
    await connection?.close();
  };
  try {
    await migrateControlDb(db);
    // The native runtime keeps the process alive until its last connection closes, so nothing may fail between the two.
    installRuntime(logger);
    connection = await NativeConnection.connect({ address, tls, apiKey });
    await ensureSearchAttributes(connection, namespace);
    const shared = { connection, namespace, shutdownGraceTime: GRACE, shutdownForceTime: FORCE_AFTER };
    const workers = await createWorkers(shared, config, { db, targets, transforms }, workflowBundle);
    logger.info({ targets: [...targets.keys()], transforms: config.transforms }, 'worker started');
    return superviseWorkers(workers, release);
  } catch (error) {
    await release();
    throw error;
  }
}

async function createWorkers(
  shared: Pick<WorkerOptions, 'connection' | 'namespace' | 'shutdownGraceTime' | 'shutdownForceTime'>,
  config: WorkerConfig,
  dependencies: Parameters<typeof createTargetActivities>[0] & { db: ControlDb },
  workflowBundle: WorkflowBundleOption | undefined,
): Promise<Worker[]> {
  // Source and build differ in the ending of their files.
  const index = `../workflows/index${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`;
  const workflows = workflowBundle
    ? { workflowBundle }
    : { workflowsPath: fileURLToPath(new URL(index, import.meta.url)) };
  const control = Worker.create({
    ...shared,
    ...workflows,
    taskQueue: CONTROL_QUEUE,
    activities: createControlActivities(dependencies.db),
    maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
  });
  const perTarget = Object.entries(config.targets).flatMap(([name, { poolSize }]) =>
    [
      { taskQueue: targetQueue(name), slots: poolSize },
      { taskQueue: laneQueue(name), slots: poolSize },
      { taskQueue: watchQueue(name), slots: MOST_WATCHES },
    ].map(({ taskQueue, slots }) =>
      Worker.create({
        ...shared,
        taskQueue,
        activities: createTargetActivities(dependencies),
        maxHeartbeatThrottleInterval: MAX_HEARTBEAT_THROTTLE,
        maxConcurrentActivityTaskExecutions: slots,
      }),
    ),
  );
  return Promise.all([control, ...perTarget]);
}

function superviseWorkers(workers: Worker[], release: () => Promise<void>): RunningWorker {
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const runs = workers.map((worker) =>
    worker.run().catch((error) => {
      // One queue without its worker would stall runs silently; better that the whole process ends and is restarted.
      shutdown();
      throw error;
    }),
  );
  const stopped = Promise.allSettled(runs).then(async (results) => {
    await release();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  });
  // Whoever never looks at `stopped` must not be ended by it.
  stopped.catch(() => {});
  return {
    stopped,
    close: async () => {
      shutdown();
      await stopped;
    },
  };
}
