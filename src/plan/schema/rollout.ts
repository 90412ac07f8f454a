import { z } from 'zod';
import { comparison, duration, returnable, slug, sql, table } from './parts.ts';

export const flag = z.strictObject({
  name: z.string().min(1),
  table: table
    .default('feature_flags')
    .describe('Table of the target with columns name, enabled, rollout_percentage'),
});

const gate = z.strictObject({
  name: slug,
  sql: sql.describe(
    'One read-only statement that returns one number; :since, :percentage and :run_id are bound',
  ),
  op: comparison,
  threshold: z.number(),
  unit: z.string().max(16).default(''),
  window: duration
    .default('15m')
    .describe('How far back a measurement looks, at most to the start of the stage'),
  interval: duration.default('5m'),
  failureLimit: z.int().min(0).default(0).describe('Failed measurements in a row that are tolerated'),
  errorLimit: z.int().min(0).default(4).describe('Measurements in a row that may end in an error'),
  noData: z
    .enum(['hold', 'breach'])
    .default('hold')
    .describe('What it means when there is nothing to measure'),
});

export const rolloutPhase = z.strictObject({
  kind: z.literal('rollout'),
  ...returnable,
  flag,
  stages: z
    .array(z.strictObject({ percentage: z.number().gt(0).max(100), hold: duration }))
    .min(1, 'list at least one stage'),
  gates: z.array(gate).default([]),
});

export const soakPhase = z.strictObject({
  kind: z.literal('soak'),
  ...returnable,
  flag,
  for: duration.describe(
    'How long the flag must have been at 100 %, counted from when the rollout reached it',
  ),
  gates: z.array(gate).default([]),
});
