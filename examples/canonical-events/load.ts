import { between, pick, type Random, seededRandom, seededUuid } from '../shared/random.ts';
import { loadShared, runSqlFile, type SqlClient } from '../shared/sql-client.ts';
import { canonicalEvent } from './canonical.ts';
import type { Deliver } from './payloads/delivery.ts';
import { announcements, instantCapture, liveVisitors, testimonials } from './payloads/native.ts';
import { shopify } from './payloads/shopify.ts';
import { stripe } from './payloads/stripe.ts';
import { UNKNOWN_PROVIDERS, unknown } from './payloads/unknown.ts';
import type { Payload } from './providers/provider.ts';

export type EventRow = {
  id: string;
  integration_type: string;
  event_type: string | null;
  event_data: Payload;
  created_at: Date;
};

export type EventsState = {
  /** `legacy`: no event is canonical. `recent-migrated`: the column exists and the last 30 days are. */
  state?: 'legacy' | 'recent-migrated';
  /** The moment that the last 30 days are counted from. */
  now?: Date;
  seed?: number;
};

/** How many events of each provider; 1,005 together. */
export const EVENT_COUNTS = {
  shopify: 400,
  stripe: 250,
  testimonials: 120,
  announcements: 80,
  instant_capture: 80,
  live_visitors: 40,
  unknown: 35,
} as const;

/** Events of the last 30 days; the others are older. */
export const RECENT_EVENTS = 995;

const KNOWN: Record<Exclude<keyof typeof EVENT_COUNTS, 'unknown'>, Deliver> = {
  shopify,
  stripe,
  testimonials,
  announcements,
  instant_capture: instantCapture,
  live_visitors: liveVisitors,
};

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Every event of the system, oldest first; the same ones for the same seed and now. */
export function generateEvents(now: Date, seed = 1_005): EventRow[] {
  const random = seededRandom(seed);
  const providers = shuffled(random);
  const times = providers
    .map((_, index) => occurredAt(random, now, index))
    .sort((a, b) => a.getTime() - b.getTime());
  return providers.map((provider, index) => {
    const created_at = times[index] ?? now;
    const integration_type = provider === 'unknown' ? pick(random, UNKNOWN_PROVIDERS) : provider;
    const deliver =
      provider === 'unknown' ? unknown[integration_type as keyof typeof unknown] : KNOWN[provider];
    // The webhook arrives some seconds after what it tells of.
    const delivery = deliver(random, new Date(created_at.getTime() - between(random, 1, 20) * 1_000));
    return { id: seededUuid(random), integration_type, ...delivery, created_at };
  });
}

/** Creates the events system in the database of the connection, as its owner. */
export async function load(client: SqlClient, options: EventsState = {}): Promise<void> {
  const { state = 'legacy', now = new Date(), seed } = options;
  await loadShared(client);
  await runSqlFile(client, new URL('schema.sql', import.meta.url));
  const events = generateEvents(now, seed);
  await client.query(
    `INSERT INTO events (id, integration_type, event_type, event_data, created_at)
     SELECT id, integration_type, event_type, event_data, created_at
     FROM jsonb_to_recordset($1::jsonb)
       AS e (id uuid, integration_type text, event_type text, event_data jsonb, created_at timestamptz)
     ON CONFLICT (id) DO NOTHING`,
    [JSON.stringify(events)],
  );
  if (state === 'recent-migrated') await migrateRecent(client);
}

/** As the application left it once it had begun to write both: everything recent is canonical, the rest is not. */
async function migrateRecent(client: SqlClient): Promise<void> {
  await client.query('ALTER TABLE events ADD COLUMN IF NOT EXISTS canonical_event jsonb');
  const { rows } = await client.query('SELECT * FROM events ORDER BY created_at DESC LIMIT $1', [
    RECENT_EVENTS,
  ]);
  await client.query(
    `UPDATE events SET canonical_event = c.value
     FROM jsonb_array_elements($1::jsonb) AS c (value)
     WHERE events.id = (c.value ->> 'event_id')::uuid`,
    [JSON.stringify((rows as EventRow[]).map(canonicalEvent))],
  );
}

function shuffled(random: Random): (keyof typeof EVENT_COUNTS)[] {
  const all = (Object.keys(EVENT_COUNTS) as (keyof typeof EVENT_COUNTS)[]).flatMap((provider) =>
    Array.from({ length: EVENT_COUNTS[provider] }, () => provider),
  );
  return all
    .map((provider) => ({ provider, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ provider }) => provider);
}

/** Recent ones stay clear of the 30th day, so that the counts hold for a day after loading. */
function occurredAt(random: Random, now: Date, index: number): Date {
  const age = index < RECENT_EVENTS ? random() * 29 * DAY : 31 * DAY + random() * 59 * DAY;
  return new Date(Math.floor((now.getTime() - age) / 1_000) * 1_000);
}
