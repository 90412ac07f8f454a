import { z } from 'zod';
import { instantSchema, pageLimit } from './common.ts';

export const exceptionKindSchema = z
  .enum(['ambiguous', 'failed', 'kept'])
  .describe('kept: undo left the row alone because the application had changed it since');

export const exceptionsQuery = z.object({
  phase: z.string().optional(),
  kind: exceptionKindSchema.optional(),
  after: z.string().optional().describe('The `next` of the page before'),
  limit: pageLimit(100),
});

/** What a page's `next` holds: the last row's key, phase and kind. */
export const exceptionCursor = z.tuple([z.string(), z.string(), exceptionKindSchema]);

export const exceptionSchema = z
  .object({
    phase: z.string(),
    key: z.array(z.string()).describe("The row's key, one text per column"),
    kind: exceptionKindSchema,
    reason: z.string(),
    suggestion: z.unknown().describe('What the transform would propose; null when it has nothing to propose'),
    sqlstate: z.string().nullable(),
    recordedAt: instantSchema,
  })
  .meta({ id: 'RowException' });
export type RowException = z.output<typeof exceptionSchema>;

export const exceptionListSchema = z.object({
  exceptions: z.array(exceptionSchema),
  next: z.string().nullable().describe('`after` of the next page; null on the last'),
});
export type ExceptionList = z.output<typeof exceptionListSchema>;
