import { z } from 'zod';

const keyValue = z.union([z.string(), z.number(), z.boolean()]);
const keys = z.array(z.array(z.string())).describe('A value per key column, as text');

export const undoRowsBody = z
  .strictObject({
    phase: z
      .string()
      .min(1)
      .optional()
      .describe("Name of the backfill phase; the plan's only one unless given"),
    keys: z
      .array(z.union([keyValue, z.array(keyValue).min(1)]))
      .min(1)
      .max(1_000)
      .describe('Keys of the rows; a list of values where the key has several columns'),
    reason: z.string().max(1_000).optional(),
  })
  .meta({ id: 'UndoRowsRequest' });
export type UndoRowsRequest = z.input<typeof undoRowsBody>;

export const undoRowsSchema = z
  .object({
    restored: keys,
    kept: keys.meta({ description: 'Left alone, because they changed since they were migrated' }),
    unknown: keys.meta({ description: 'Not migrated by this run, or undone already' }),
  })
  .meta({ id: 'UndoRowsResult' });
export type UndoRowsResult = z.output<typeof undoRowsSchema>;
