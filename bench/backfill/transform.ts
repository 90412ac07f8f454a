import { defineTransform, migrated } from '../../src/engine/transform/transform.ts';

type Payload = { name?: string; total?: number; address?: { city?: string } };

/** The workload's expression in TypeScript. */
export const migrate = defineTransform({
  name: 'bench',
  version: 1,
  reads: ['payload'],
  writes: ['migrated'],
  transform: ({ payload }) => {
    const { name, address, total } = payload as Payload;
    return migrated({ migrated: { name, city: address?.city, total } });
  },
});
