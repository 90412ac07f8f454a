import { z } from 'zod';
import { instantSchema, pageLimit } from './common.ts';

export const auditQuery = z.object({
  subject: z.string().optional().describe("A run's id, or `plan:<name>`"),
  limit: pageLimit(100),
});

export const auditEntrySchema = z
  .object({
    id: z.int(),
    at: instantSchema,
    actor: z.string(),
    role: z.string(),
    action: z.string(),
    subject: z.string(),
    accepted: z.boolean(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' });
export type AuditEntry = z.output<typeof auditEntrySchema>;

export const auditListSchema = z.object({ entries: z.array(auditEntrySchema) });
