import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { pino } from 'pino';
import { inject } from 'vitest';
import type { CommandInput } from '../../src/contracts/commands.ts';
import { CONTROL_QUEUE } from '../../src/contracts/names.ts';
import type { MigrationInput } from '../../src/contracts/runs.ts';
import { MIGRATION_WORKFLOW } from '../../src/contracts/workflow-types.ts';
import { type ControlDb, migrateControlDb, openControlDb } from '../../src/db/control-db.ts';
import { registerPlan } from '../../src/db/plans.ts';
import { listEvents } from '../../src/db/run-events.ts';
import { listPhases } from '../../src/db/run-phases.ts';
import { createRun, findRun } from '../../src/db/runs.ts';
import { runStatement } from '../../src/dev/database.ts';
import type { Actor } from '../../src/domain/approval.ts';
import type { RunCommand, RunStatus } from '../../src/domain/run-state.ts';
import { planHash } from '../../src/plan/hash.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { PlanInput } from '../../src/plan/schema.ts';
import { type RunningWorker, startWorker } from '../../src/worker/main.ts';
import { createTestDatabase } from './database.ts';
import { createTestNamespace } from './temporal.ts';
import { uniqueName } from './unique-name.ts';
import { until } from './until.ts';

export const OPERATOR: Actor = { name: 'olga', role: 'operator' };
export const APPROVER: Actor = { name: 'anna', role: 'approver' };

/** Holds pass a hundred thousand times faster: a day takes 0.9 s. */
const TIME_SCALE = 100_000;

export type SystemOptions = {
  /** Statements that make the target what it is before the run. */
  setup: string[];
  /** Modules with registered transforms. */
  transforms?: string[];
  /** Servers other than those of the test run, for tests that stop them. */
  servers?: { postgresUrl: string; temporalAddress: string };
  /** Where the worker looks for the target, if not where it is. */
  workerTargetUrl?: string;
  /** Whether a worker of this process serves the runs; by default it does. */
  worker?: boolean;
};

/** Control database, target database, namespace and worker of one test file; the target is called `app`. */
export async function startSystem({
  setup,
  transforms = [],
  servers,
  workerTargetUrl,
  worker: withWorker = true,
}: SystemOptions) {
  const [control, app, temporal] = await Promise.all([
    createTestDatabase(servers?.postgresUrl),
    createTestDatabase(servers?.postgresUrl),
    createTestNamespace(servers?.temporalAddress),
  ]);
  const target = new pg.Client({ connectionString: app.url });
  // A server that is stopped ends this connection too; the next query says so.
  target.on('error', () => {});
  await target.connect();
  for (const statement of setup) await target.query(statement);
  const db = openControlDb(control.url);
  await migrateControlDb(db);
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const config = {
    databaseUrl: control.url,
    temporal,
    targets: { app: { url: workerTargetUrl ?? app.url, poolSize: 5 } },
    transforms,
    logLevel: 'error' as const,
  };
  const newWorker = () =>
    startWorker(config, {
      logger: pino({ level: 'error' }),
      workflowBundle: { codePath: inject('workflowBundle') },
    });
  let worker: RunningWorker | undefined = withWorker ? await newWorker() : undefined;

  return {
    target,
    targetUrl: app.url,
    db,
    client,
    config,
    /** Lets nobody connect to the control database, as if its server were away; returns the way back. */
    takeControlDatabaseAway: async () => {
      const name = pg.escapeIdentifier(control.name);
      const server = servers?.postgresUrl ?? inject('postgresUrl');
      await runStatement(server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await runStatement(
        server,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${pg.escapeLiteral(control.name)}`,
      );
      return () => runStatement(server, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    },
    stopWorker: async () => {
      await worker?.close();
      worker = undefined;
    },
    startWorker: async () => {
      worker = await newWorker();
    },
    start: (plan: PlanInput, over: Partial<MigrationInput> = {}) => startRun(db, client, plan, over),
    close: async () => {
      await worker?.close();
      await target.end();
      await db.close();
      await connection.close();
      await Promise.all([control.drop(), app.drop()]);
    },
  };
}

export type System = Awaited<ReturnType<typeof startSystem>>;
export type TestRun = Awaited<ReturnType<typeof startRun>>;

async function startRun(db: ControlDb, client: Client, input: PlanInput, over: Partial<MigrationInput>) {
  const plan = parsePlan(input);
  const hash = planHash(plan);
  const registered = await registerPlan(db, plan, hash, OPERATOR.name);
  const runId = uniqueName(plan.name);
  const version = registered.plan.version;
  await createRun(
    db,
    {
      id: runId,
      planName: plan.name,
      planVersion: version,
      planHash: hash,
      target: plan.target,
      startedBy: OPERATOR.name,
      starterRole: OPERATOR.role,
    },
    plan.phases,
  );
  const migration: MigrationInput = {
    runId,
    plan,
    planVersion: version,
    planHash: hash,
    startedBy: OPERATOR,
    timeScale: TIME_SCALE,
    ...over,
  };
  const handle = await client.workflow.start(MIGRATION_WORKFLOW, {
    workflowId: runId,
    taskQueue: CONTROL_QUEUE,
    args: [migration],
  });
  const run = async () => {
    const found = await findRun(db, runId);
    if (!found) throw new Error(`run ${runId} is not recorded`);
    return found;
  };
  return {
    id: runId,
    handle,
    run,
    phases: () => listPhases(db, [runId]),
    phase: async (name: string) => (await listPhases(db, [runId])).find((phase) => phase.name === name),
    messages: async () => (await listEvents(db, runId, 0)).map(({ message }) => message),
    command: (command: RunCommand, actor: Actor = OPERATOR, reason?: string) =>
      handle.executeUpdate<unknown, [CommandInput]>(command, { args: [{ actor, reason }] }),
    /** Waits for the status; fails at once, with the reason, when the run ends otherwise. */
    reaches: (status: RunStatus, deadlineMs = 40_000) => waitForStatus(run, status, deadlineMs),
  };
}

async function waitForStatus(run: () => ReturnType<typeof findRun>, status: RunStatus, deadlineMs: number) {
  const found = await until(
    async () => {
      const now = await run();
      return now && (now.status === status || now.finishedAt) ? now : undefined;
    },
    { deadlineMs, what: `run ${status}` },
  );
  if (found.status !== status) throw new Error(`the run is ${found.status}, not ${status}: ${found.reason}`);
  return found;
}
