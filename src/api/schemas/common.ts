import type { Readable } from 'node:stream';
import { z } from 'zod';
import { ROLES } from '../../domain/role.ts';

/** An instant as ISO 8601 in UTC. */
export const instantSchema = z.iso.datetime();

/** An error as RFC 9457 has it; what else it holds depends on the error and is listed here. */
export const problemSchema = z
  .looseObject({
    type: z.string().describe('Names the kind of error; the same for every occurrence'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What happened and what to do next'),
    instance: z.string().describe('The path that was asked for'),
    requestId: z.string().optional().describe('Finds the request in the log'),
    problems: z
      .array(z.object({ path: z.string(), problem: z.string(), fix: z.string() }))
      .optional()
      .describe('Everything that is wrong with the request or the plan'),
    runId: z.string().optional().describe('The run that is in the way'),
    state: z.string().optional().describe("The run's status at the time of the refused command"),
    role: z.enum(ROLES).optional().describe('The role of the caller'),
    required: z.enum(ROLES).optional().describe('The least role that may do this'),
  })
  .meta({ id: 'Problem' });
export type Problem = z.output<typeof problemSchema>;

/** Makes a repeated request the same request. */
export const idempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Chosen by the caller; the same key again is the same request'),
});

export const runIdParams = z.object({ id: z.string().min(1).max(200) });

/** As large as the control database counts. */
export const planVersion = z.int().min(1).max(2_147_483_647);

/** How many entries a page has. */
export function pageLimit(byDefault: number, most = 1_000) {
  return z.coerce.number().int().min(1).max(most).default(byDefault);
}

export const rowCountsSchema = z
  .object({
    processed: z.int(),
    migrated: z.int(),
    skipped: z.int(),
    ambiguous: z.int(),
    failed: z.int(),
  })
  .meta({ id: 'RowCounts', description: 'processed = migrated + skipped + ambiguous + failed' });

/** A text that is sent piece by piece. */
export const streamedText = z.custom<Readable>().meta({ type: 'string' });
