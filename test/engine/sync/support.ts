import pg from 'pg';
import type { z } from 'zod';
import type { BackfillPhase } from '../../../src/domain/plan.ts';
import { installSync } from '../../../src/engine/sync/install.ts';
import type { SyncJob } from '../../../src/engine/sync/job.ts';
import { type Transform, TransformRegistry } from '../../../src/engine/transform/transform.ts';
import { syncPhase } from '../../../src/plan/schema/live-traffic.ts';
import { uniqueName } from '../../support/unique-name.ts';
import { type Bench, phaseOf } from '../harness.ts';

/** A sync of the backfill, under a run of its own. */
export function syncOf(
  backfill: BackfillPhase,
  given: Partial<z.input<typeof syncPhase>> = {},
  transforms: Transform[] = [],
): SyncJob {
  const phase = syncPhase.parse({
    kind: 'sync',
    name: 'keep',
    backfill: backfill.name,
    mode: 'trigger',
    lockTimeout: '200ms',
    ...given,
  });
  return { runId: uniqueName('run'), phase, backfill, transforms: new TransformRegistry(transforms) };
}

/** An installed sync of mode `trigger` over the table. */
export async function triggered(
  bench: Bench,
  table: string,
  set: Record<string, string>,
  given: Parameters<typeof phaseOf>[1] = {},
): Promise<SyncJob> {
  const job = syncOf(phaseOf(table, { transform: { kind: 'sql', set }, ...given }));
  await installSync(bench.target, job);
  return job;
}

/** The notes that wait, as keys. */
export async function noted(bench: Bench): Promise<string[][]> {
  const rows = await bench.sql<{ key: string[] }>('SELECT key FROM cutover.captured ORDER BY id');
  return rows.map(({ key }) => key);
}

/** A connection of the application's own. */
export async function connectApplication(bench: Bench, user?: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: bench.url, application_name: 'application' });
  await client.connect();
  if (user !== undefined) await client.query(`SET SESSION AUTHORIZATION ${pg.escapeIdentifier(user)}`);
  return client;
}
