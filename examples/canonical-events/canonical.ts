import { announcements } from './providers/announcements.ts';
import { generic } from './providers/generic.ts';
import { instantCapture } from './providers/instant-capture.ts';
import { liveVisitors } from './providers/live-visitors.ts';
import type { Payload, Provider, Scalar } from './providers/provider.ts';
import { shopify } from './providers/shopify.ts';
import { stripe } from './providers/stripe.ts';
import { testimonials } from './providers/testimonials.ts';

/** One event in the shape that every template reads, whatever provider it came from. */
export type CanonicalEvent = {
  event_id: string;
  provider: string;
  provider_event_type: string;
  timestamp: string;
  /** What was delivered, untouched. */
  payload: Payload;
  /** Flat: `template.*` is what a template may show, `meta.*` is about the event. */
  normalized: Record<`template.${string}` | `meta.${string}`, Scalar>;
};

/** A row of `events` with a payload that is an object. */
export type ReceivedEvent = {
  id: string;
  integration_type: string;
  event_type?: string | null | undefined;
  event_data: Payload;
  created_at: Date | string;
};

const PROVIDERS = new Map<string, Provider>(
  [shopify, stripe, testimonials, announcements, instantCapture, liveVisitors].map((provider) => [
    provider.name,
    provider,
  ]),
);

/** Said of an event whose provider and payload don't say what happened; it is no guess. */
const UNKNOWN_TYPE = 'unknown';

/**
 * The canonical form of an event. It depends on nothing but the row, so that it can be derived again and compared.
 * @throws RangeError when the row's `created_at` is no time.
 */
export function canonicalEvent(event: ReceivedEvent): CanonicalEvent {
  const name = event.integration_type.trim().toLowerCase();
  const provider = PROVIDERS.get(name) ?? generic;
  const payload = event.event_data;
  const timestamp = utc(event.created_at);
  if (timestamp === undefined) {
    throw new RangeError(`event ${event.id}: created_at "${String(event.created_at)}" is no point in time`);
  }
  return {
    event_id: event.id,
    provider: name,
    provider_event_type: event.event_type?.trim() || provider.eventType(payload) || UNKNOWN_TYPE,
    timestamp,
    payload,
    normalized: normalize(provider, name, payload),
  };
}

function normalize(
  provider: Omit<Provider, 'name'>,
  name: string,
  payload: Payload,
): CanonicalEvent['normalized'] {
  const normalized: CanonicalEvent['normalized'] = {};
  for (const [field, value] of Object.entries(provider.fields(payload))) {
    if (value !== undefined && value !== '') normalized[`template.${field}`] = value;
  }
  normalized['meta.provider'] = name;
  const happened = utc(provider.time(payload));
  if (happened !== undefined) normalized['meta.timestamp'] = happened;
  return normalized;
}

/** ISO 8601 date and time with its zone; without one it would mean something else on each machine. */
const POINT_IN_TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|[+-]\d{2}(:?\d{2})?)$/;

const IN_UTC = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;

/** UTC in ISO 8601, without empty fractions; from a Date, such text, or seconds since 1970. */
function utc(value: unknown): string | undefined {
  const date = toDate(value);
  if (date === undefined || Number.isNaN(date.getTime())) return undefined;
  // A Date has no microseconds: what is in UTC already keeps its own.
  const written = typeof value === 'string' && IN_UTC.test(value) ? value : date.toISOString();
  return written.replace(/\.0+Z$/, 'Z');
}

function toDate(value: unknown): Date | undefined {
  if (value instanceof Date) return value;
  if (typeof value === 'number') return new Date(value * 1000);
  if (typeof value === 'string' && POINT_IN_TIME.test(value)) return new Date(value);
  return undefined;
}
