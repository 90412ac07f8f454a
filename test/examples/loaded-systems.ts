import pg from 'pg';
import { afterEach, beforeEach } from 'vitest';
import { EXAMPLE_TARGET, exampleSystems } from '../../examples/index.ts';
import type { Phase, PhaseKind, Plan } from '../../src/domain/plan.ts';
import { loadPlanFile } from '../../src/plan/load.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Target } from '../../src/targets/target.ts';
import { createTestDatabase } from '../support/database.ts';

async function planOf(name: string): Promise<Plan> {
  const system = exampleSystems.find((candidate) => candidate.name === name);
  if (!system) throw new Error(`there is no example system ${name}`);
  return parsePlan(await loadPlanFile(system.planFile));
}

export const campaigns = await planOf('campaigns-v2');
export const events = await planOf('canonical-events');

export function phaseOf<K extends PhaseKind>(plan: Plan, kind: K): Extract<Phase, { kind: K }> {
  const phase = plan.phases.find((candidate) => candidate.kind === kind);
  if (!phase) throw new Error(`plan ${plan.name} has no ${kind} phase`);
  return phase as Extract<Phase, { kind: K }>;
}

export type LoadedSystems = { readonly client: pg.Client; readonly target: Target };

/** Gives each test of the file a database of its own that holds both systems. */
export function loadSystemsForEachTest(): LoadedSystems {
  let current: LoadedSystems | undefined;
  let close = async () => {};
  beforeEach(async () => {
    const database = await createTestDatabase();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    for (const system of exampleSystems) await system.load(client);
    const target = createPostgresTarget({ name: EXAMPLE_TARGET, url: database.url, poolSize: 2 });
    current = { client, target };
    close = async () => {
      await target.close();
      await client.end();
      await database.drop();
    };
  });
  afterEach(() => close());
  const loaded = () => {
    if (!current) throw new Error('the systems are loaded before each test, not earlier');
    return current;
  };
  return {
    get client() {
      return loaded().client;
    },
    get target() {
      return loaded().target;
    },
  };
}
