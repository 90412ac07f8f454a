import { z } from 'zod';
import { base, duration, locks, pointOfNoReturn, returnable, sql, waivers } from './parts.ts';
import { flag } from './rollout.ts';

export const schemaPhase = z.strictObject({
  kind: z.literal('schema'),
  ...returnable,
  up: z.array(sql).min(1, 'list at least one statement').describe('One statement each, run in order'),
  down: z.array(sql).default([]).describe('The statements that undo `up`, run in order on rollback'),
  ...locks,
  waivers,
});

export const cleanupPhase = z.strictObject({
  kind: z.literal('cleanup'),
  ...base,
  pointOfNoReturn: pointOfNoReturn.default(true),
  after: z
    .strictObject({ flag, for: duration })
    .optional()
    .describe('Refuses to begin until the flag has been at 100 % for this long'),
  statements: z.array(sql).min(1, 'list at least one statement'),
  ...locks,
  waivers,
});
