import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { loadConfig } from '../../src/config.ts';
import { CONTROL_QUEUE, phaseWorkflowId } from '../../src/contracts/names.ts';
import type { MigrationInput } from '../../src/contracts/runs.ts';
import { MIGRATION_WORKFLOW } from '../../src/contracts/workflow-types.ts';
import { type ControlDb, migrateControlDb, openControlDb } from '../../src/db/control-db.ts';
import { registerPlan } from '../../src/db/plans.ts';
import { createRun } from '../../src/db/runs.ts';
import type { EmbeddedPostgres } from '../../src/dev/postgres.ts';
import { startTemporal, type TemporalDevServer } from '../../src/dev/temporal.ts';
import { findTemporal } from '../../src/dev/temporal-executable.ts';
import { planHash } from '../../src/plan/hash.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { PlanInput } from '../../src/plan/schema.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

const STARTED_BY = { name: 'bench', role: 'admin' } as const;

export type DurableRun = {
  /** From the start of the backfill's workflow to its end. */
  seconds: number;
  /** Of the run's workflow and the backfill's together. */
  historyEvents: number;
};

/** Runs plans as users do: on a Temporal server, by workers in processes of their own. */
export class DurableRuns {
  readonly #temporal: TemporalDevServer;
  readonly #client: Client;
  readonly #db: ControlDb;
  readonly #databaseUrl: string;
  #count = 0;

  private constructor(temporal: TemporalDevServer, client: Client, db: ControlDb, databaseUrl: string) {
    this.#temporal = temporal;
    this.#client = client;
    this.#db = db;
    this.#databaseUrl = databaseUrl;
  }

  static async start(
    directory: string,
    postgres: EmbeddedPostgres,
    say: (line: string) => void,
  ): Promise<DurableRuns> {
    const { cacheDir, environment } = loadConfig();
    const executable = await findTemporal({ cacheDir, environment, say });
    const temporal = await startTemporal({
      dir: join(directory, 'temporal'),
      executable,
      environment,
      say,
    });
    const connection = await Connection.connect({ address: temporal.address });
    const client = new Client({ connection, namespace: temporal.namespace });
    const databaseUrl = await postgres.database('cutover');
    const db = openControlDb(databaseUrl);
    await migrateControlDb(db);
    return new DurableRuns(temporal, client, db, databaseUrl);
  }

  /** A worker for the target `app` at this URL; end it with `stop`. */
  startWorker(targetUrl: string): Promise<WorkerProcess> {
    return startWorkerProcess({
      environment: loadConfig().environment,
      databaseUrl: this.#databaseUrl,
      address: this.#temporal.address,
      namespace: this.#temporal.namespace,
      targetUrl,
    });
  }

  /** Starts the plan, which has one phase, and waits for its end. @throws when the run fails. */
  async run(input: PlanInput): Promise<DurableRun> {
    const { runId, handle } = await this.#start(input);
    await handle.result();
    const phase = await this.#client.workflow.getHandle(phaseWorkflowId(runId, 'fill')).describe();
    const run = await handle.describe();
    if (!phase.closeTime) throw new Error(`the backfill of ${runId} has no end`);
    return {
      seconds: (phase.closeTime.getTime() - phase.startTime.getTime()) / 1_000,
      historyEvents: phase.historyLength + run.historyLength,
    };
  }

  /** Starts the plan and ends it after so long, or when it ends by itself; what it has committed stays. */
  async runFor(input: PlanInput, ms: number): Promise<void> {
    const { runId, handle } = await this.#start(input);
    const ended = await Promise.race([handle.result().then(() => true), setTimeout(ms, false)]);
    if (ended) return;
    for (const id of [runId, phaseWorkflowId(runId, 'fill')]) {
      await this.#client.workflow.getHandle(id).terminate('its time is over');
    }
  }

  async #start(input: PlanInput) {
    this.#count += 1;
    const plan = parsePlan({ ...input, name: `bench-${this.#count}` });
    const runId = `${plan.name}-run`;
    const registered = await registerPlan(this.#db, plan, planHash(plan), STARTED_BY.name);
    const { version, hash } = registered.plan;
    await createRun(
      this.#db,
      {
        id: runId,
        planName: plan.name,
        planVersion: version,
        planHash: hash,
        target: plan.target,
        startedBy: STARTED_BY.name,
        starterRole: STARTED_BY.role,
      },
      plan.phases,
    );
    const migration: MigrationInput = {
      runId,
      plan,
      planVersion: version,
      planHash: hash,
      startedBy: STARTED_BY,
      timeScale: 1,
    };
    const handle = await this.#client.workflow.start(MIGRATION_WORKFLOW, {
      workflowId: runId,
      taskQueue: CONTROL_QUEUE,
      args: [migration],
    });
    return { runId, handle };
  }

  async close(): Promise<void> {
    await this.#db.close();
    await this.#client.connection.close();
    await this.#temporal.stop();
  }
}
