import { z } from 'zod';
import { instantSchema, pageLimit } from './common.ts';

export const eventsQuery = z.object({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .describe('Only events after the one with this id; the Last-Event-ID header does the same'),
  limit: pageLimit(500).describe('Of a JSON answer; a stream has no limit'),
});

export const runEventSchema = z
  .object({
    id: z.int(),
    type: z.string().describe('run, phase, progress, load, stage, gate, flag, command or note'),
    at: instantSchema,
    phase: z.string().nullable(),
    message: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'RunEvent' });
export type RunEvent = z.output<typeof runEventSchema>;

/** What a server-sent event's `data` holds; its id and type are fields of the stream itself. */
export type StreamedEvent = Omit<RunEvent, 'id' | 'type'>;

/** Type of the last event of a stream: the run is final and everything has been sent. */
export const END_EVENT = 'end';
/** Data of the `end` event. */
export type EndEvent = { status: string; reason: string | null };

export const eventListSchema = z.object({
  events: z.array(runEventSchema),
  next: z.int().describe('`after` of the next page'),
  ended: z.boolean().describe('The run is final and this page holds its last event'),
});
export type EventList = z.output<typeof eventListSchema>;
