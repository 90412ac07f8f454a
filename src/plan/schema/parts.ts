import { z } from 'zod';
import { DURATION_PATTERN, type Duration, durationMs } from '../../domain/duration.ts';

export const slug = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9-]{0,62}$/,
    'use lower-case letters, digits and dashes, at most 63, as in "backfill-events"',
  );

/** Ten years. Neither Temporal's timers nor the database's timeouts take any number, and nobody waits for longer. */
const LONGEST: Duration = '520w';

export const duration = z
  .string()
  .regex(DURATION_PATTERN, {
    error: 'write a whole number and ms, s, m, h, d or w, as in "24h"',
    abort: true,
  })
  .refine((text) => durationMs(text) <= durationMs(LONGEST), `write at most "${LONGEST}"`)
  .describe('A whole number and ms, s, m, h, d or w: "24h"')
  // The regular expression has just proven what the template literal type says.
  .transform((text) => text as Duration);

/** A duration that is neither zero nor longer than that. */
export function durationUpTo(longest: Duration) {
  const fits = (given: Duration) => durationMs(given) > 0 && durationMs(given) <= durationMs(longest);
  return duration.refine(fits, `write at least "1ms" and at most "${longest}"`);
}

/** Others queue behind whoever waits for a lock, and a lane's lease lasts as long; 1,000 attempts of it are what the server takes. */
export const lockTimeout = durationUpTo('30m');

export const sql = z.string().trim().min(1, 'write a SQL statement');
export const condition = z.string().trim().min(1, 'write a SQL condition, or leave `where` out');
export const table = z
  .string()
  .trim()
  .min(1, 'name a table, with its schema where it is not on the search path');
export const comparison = z.enum(['<', '<=', '=', '!=', '>=', '>']);

export const base = {
  name: slug.describe('Unique within the plan'),
  description: z.string().default(''),
  onFailure: z
    .enum(['rollback', 'hold'])
    .default('rollback')
    .describe('On failure: undo everything that was done, or wait for a person to resume or roll back'),
  noOpenExceptions: z
    .boolean()
    .default(false)
    .describe('Begins only when no exception of the run is open; until then the run holds for a person'),
};
export const pointOfNoReturn = z
  .boolean()
  .describe(
    'Once this phase has begun the run can no longer be rolled back; a failure then holds for a person',
  );
export const returnable = { ...base, pointOfNoReturn: pointOfNoReturn.default(false) };
export const locks = {
  lockTimeout: lockTimeout
    .default('2s')
    .describe('Longest wait for a lock per attempt; others queue behind it for no longer'),
  lockAttempts: z
    .int()
    .min(1)
    .max(1000)
    .default(30)
    .describe('Attempts to get the lock, with jittered pauses between'),
};

export const waivers = z
  .array(
    z.strictObject({
      rule: z.string().min(1).describe('Rule of the DDL linter: "adding-field-with-default"'),
      reason: z.string().trim().min(1, 'say why this is acceptable here'),
      statement: z
        .int()
        .min(0)
        .optional()
        .describe('Position of the statement in its list, from 0; all of them by default'),
    }),
  )
  .default([])
  .describe('Findings of the DDL linter that you have looked at and accept');
