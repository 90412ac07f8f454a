import { fileURLToPath } from 'node:url';
import type { Transform } from '../src/engine/transform/transform.ts';
import { load as loadCampaigns } from './campaigns-v2/load.ts';
import { transforms as campaignTransforms } from './campaigns-v2/transforms.ts';
import { load as loadEvents } from './canonical-events/load.ts';
import { transforms as eventTransforms } from './canonical-events/transforms.ts';
import type { SqlClient } from './shared/sql-client.ts';

/** A system that can be loaded into a database and migrated there. */
export type ExampleSystem = {
  /** Name of its plan. */
  name: string;
  /** Absolute path of its plan. */
  planFile: string;
  /** Creates its tables and rows as they are before the migration, as the owner; again is harmless. */
  load(client: SqlClient): Promise<void>;
  /** To be registered with each worker that runs its plan. */
  transforms: readonly Transform[];
  /** The flag that its plan rolls out. */
  flag: string;
};

/** Name of the target in both plans. */
export const EXAMPLE_TARGET = 'app';

export const exampleSystems: readonly ExampleSystem[] = [
  {
    name: 'campaigns-v2',
    planFile: fileURLToPath(new URL('campaigns-v2/plan.yaml', import.meta.url)),
    load: (client) => loadCampaigns(client),
    transforms: campaignTransforms,
    flag: 'multi_integration_campaigns',
  },
  {
    name: 'canonical-events',
    planFile: fileURLToPath(new URL('canonical-events/plan.ts', import.meta.url)),
    load: (client) => loadEvents(client),
    transforms: eventTransforms,
    flag: 'v2_canonical_system',
  },
];
