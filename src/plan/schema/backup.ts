import { z } from 'zod';
import { condition, returnable, table } from './parts.ts';

export const backupPhase = z.strictObject({
  kind: z.literal('backup'),
  ...returnable,
  tables: z
    .array(
      z.strictObject({
        table,
        where: condition.optional().describe('Copies only the rows that meet this condition'),
        as: z.string().max(63).optional().describe('Name of the copy; <table>_backup_<yyyymmdd> by default'),
      }),
    )
    .min(1, 'list at least one table'),
  onRollback: z
    .enum(['drop', 'keep'])
    .default('drop')
    .describe('What becomes of the copies after a rollback'),
});
