import { z } from 'zod';
import { comparison, duration, returnable, slug, sql } from './parts.ts';

const expectation = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('no-rows') }),
  z.strictObject({
    kind: z.literal('values'),
    values: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .describe('Column: value of the first row'),
  }),
  z.strictObject({ kind: z.literal('compare'), op: comparison, value: z.number() }),
  z.strictObject({ kind: z.literal('informational') }),
]);

export const validatePhase = z.strictObject({
  kind: z.literal('validate'),
  ...returnable,
  queries: z
    .array(
      z.strictObject({
        name: slug,
        sql: sql.describe('One read-only statement; :run_id is bound'),
        expect: expectation,
      }),
    )
    .min(1, 'list at least one query'),
});

export const approvalPhase = z.strictObject({
  kind: z.literal('approval'),
  ...returnable,
  roles: z.array(z.enum(['operator', 'approver', 'admin'])).default(['approver', 'admin']),
  people: z
    .array(z.string().min(1))
    .default([])
    .describe('Names of token holders who may approve whatever their role'),
  count: z.int().min(1).max(20).default(1).describe('Distinct people needed'),
  allowStarter: z.boolean().default(false).describe('May the person who started the run approve it?'),
  deadline: duration.default('48h'),
  onDeadline: z.enum(['rollback', 'hold']).default('rollback'),
});
