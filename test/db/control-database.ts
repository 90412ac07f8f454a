import { afterAll, beforeAll } from 'vitest';
import { type ControlDb, migrateControlDb, openControlDb } from '../../src/db/control-db.ts';
import type { NewRun } from '../../src/db/runs.ts';
import type { Plan } from '../../src/domain/plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { uniqueName } from '../support/unique-name.ts';

/** A migrated control database for the tests of one file. */
export function useControlDatabase(): { db: ControlDb; url: string } {
  const used = {} as { db: ControlDb; url: string };
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
    Object.assign(used, { db: openControlDb(database.url), url: database.url });
    await migrateControlDb(used.db);
  });
  afterAll(async () => {
    await used.db?.close();
    await database?.drop();
  });
  return used;
}

/** A plan of two phases under a name of its own. */
export function samplePlan(changes: Record<string, unknown> = {}): Plan {
  return parsePlan({
    name: uniqueName('plan'),
    target: 'shop',
    phases: [
      { kind: 'schema', name: 'widen', up: ['SELECT 1'], down: ['SELECT 2'] },
      { kind: 'backfill', name: 'fill', table: 'items', transform: { kind: 'sql', set: { a: '1' } } },
    ],
    ...changes,
  });
}

export const PHASES = [
  { name: 'widen', kind: 'schema' as const },
  { name: 'fill', kind: 'backfill' as const },
];

export function newRun(changes: Partial<NewRun> = {}): NewRun {
  return {
    id: uniqueName('run'),
    planName: uniqueName('plan'),
    planVersion: 1,
    planHash: 'hash',
    target: 'shop',
    startedBy: 'ana',
    starterRole: 'operator',
    ...changes,
  };
}
