import { z } from 'zod';
import { WEEKDAYS } from '../../domain/open-hours.ts';

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time of day, as in "22:00"');
const localTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/, 'write a local date and time, as in "2026-12-24T00:00"')
  .refine(isOnTheCalendar, 'name a day of the calendar and a time from 00:00 to 23:59');
const timeZone = z
  .string()
  .refine(isTimeZone, 'name a time zone of the IANA database, as in "Europe/Berlin"')
  .describe('IANA name: "Europe/Berlin"');

/** Whatever is too much of one part would count towards the next: 30 February as 2 March. */
function isOnTheCalendar(local: string): boolean {
  const instant = new Date(`${local}Z`);
  return !Number.isNaN(instant.getTime()) && instant.toISOString().startsWith(local);
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const windows = z
  .array(
    z.strictObject({
      from: timeOfDay,
      to: timeOfDay.describe('Not after `from`: ends on the next day'),
      timeZone,
      days: z.array(z.enum(WEEKDAYS)).min(1).optional().describe('Days on which it begins; all by default'),
      notOn: z.array(z.int().min(1).max(31)).default([]).describe('Days of the month to leave out'),
    }),
  )
  .default([])
  .describe('When batches may run; always, unless there are any');

export const blackouts = z
  .array(
    z
      .strictObject({
        from: localTime,
        to: localTime,
        timeZone,
        reason: z.string().trim().min(1, 'say why; it is shown while the backfill waits'),
      })
      .refine(({ from, to }) => from < to, 'end after it begins'),
  )
  .default([])
  .describe('When no batch may run, whatever the windows say');
