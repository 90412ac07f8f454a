import { z } from 'zod';
import { duration, locks, returnable, slug } from './parts.ts';

const backfill = slug.describe('Name of the backfill phase whose rows and transform these are');

export const syncPhase = z.strictObject({
  kind: z.literal('sync'),
  ...returnable,
  backfill,
  mode: z
    .enum(['trigger', 'capture', 'application'])
    .describe(
      "trigger: SQL in the application's own transaction; capture: keys are noted and derived soon after; application: it writes both",
    ),
  ...locks,
  watchInterval: duration.default('30s').describe('How often it is looked whether the sync still works'),
  onDrift: z
    .enum(['report', 'repair', 'hold'])
    .default('repair')
    .describe('What drift leads to: a note, rows derived anew, or a hold for a person'),
  queueLimit: z
    .int()
    .min(1)
    .default(100_000)
    .describe('Captured keys that may wait before it counts as drift'),
});

export const verifyPhase = z.strictObject({
  kind: z.literal('verify'),
  ...returnable,
  backfill,
  onDrift: z
    .enum(['repair', 'fail'])
    .default('repair')
    .describe('What becomes of rows that differ: derived anew, or listed while the phase fails'),
  batchSize: z.int().min(1).max(100_000).default(10_000),
  parallelism: z.int().min(1).max(64).default(1),
});
