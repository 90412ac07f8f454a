import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { load as loadCampaigns } from '../../examples/campaigns-v2/load.ts';
import { EVENT_COUNTS, generateEvents, load as loadEvents } from '../../examples/canonical-events/load.ts';
import { UNKNOWN_PROVIDERS } from '../../examples/canonical-events/payloads/unknown.ts';
import { exampleSystems } from '../../examples/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await client.end();
  await database.drop();
});

async function numbers(sql: string): Promise<Record<string, number>> {
  const { rows } = await client.query<Record<string, string>>(sql);
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value)]));
}

describe('campaigns', () => {
  test('three legacy campaigns, and each kind that a person has to decide', async () => {
    await loadCampaigns(client);
    const { rows } = await client.query<{ name: string }>('SELECT name FROM campaigns ORDER BY id');
    expect(rows.map(({ name }) => name)).toEqual([
      ...['Recent purchases', 'New subscribers', 'Winter sale ❄'],
      ...['Booked demos', 'Untitled campaign', 'Bestsellers', 'Outlet ticker'],
    ]);
  });

  test('one of three migrated, on a later day', async () => {
    await loadCampaigns(client, { state: 'partly-migrated', ambiguous: false });
    expect(
      await numbers('SELECT count(*) AS total, count(data_sources_v2) AS migrated FROM campaigns'),
    ).toEqual({ total: 3, migrated: 1 });
  });
});

describe('events', () => {
  const COUNTS = `SELECT count(*) AS total,
                         count(*) FILTER (WHERE created_at > now() - interval '30 days') AS recent
                  FROM events`;

  test('1,005 of them, 995 in the last 30 days', async () => {
    await loadEvents(client);
    expect(await numbers(COUNTS)).toEqual({ total: 1_005, recent: 995 });
  });

  test('by provider, in the numbers that the README tells', async () => {
    await loadEvents(client);
    const { rows } = await client.query<{ provider: string; events: string }>(
      `SELECT CASE WHEN integration_type = ANY ($1) THEN 'unknown' ELSE integration_type END AS provider,
              count(*) AS events FROM events GROUP BY 1`,
      [UNKNOWN_PROVIDERS],
    );
    expect(Object.fromEntries(rows.map(({ provider, events }) => [provider, Number(events)]))).toEqual(
      EVENT_COUNTS,
    );
  });

  test('995 of the last 30 days are canonical on a later day, and the ten old ones are not', async () => {
    await loadEvents(client, { state: 'recent-migrated' });
    expect(
      await numbers(
        `SELECT count(*) FILTER (WHERE recent) AS recent,
                count(*) FILTER (WHERE recent AND canonical_event IS NOT NULL) AS migrated,
                count(*) FILTER (WHERE NOT recent AND canonical_event IS NULL) AS pending
         FROM (SELECT *, created_at > now() - interval '30 days' AS recent FROM events) AS e`,
      ),
    ).toEqual({ recent: 995, migrated: 995, pending: 10 });
  });

  test('the last 30 days are counted from the moment that is given', () => {
    const now = new Date('2025-11-20T00:00:00Z');
    const recent = generateEvents(now).filter(
      ({ created_at }) => created_at.getTime() > now.getTime() - 30 * 86_400_000,
    );
    expect(recent).toHaveLength(995);
    expect(recent.every(({ created_at }) => created_at <= now)).toBe(true);
  });

  test('the same events for the same moment, others for another seed', () => {
    const now = new Date('2025-11-20T00:00:00Z');
    expect(generateEvents(now)).toEqual(generateEvents(now));
    expect(generateEvents(now, 2)).not.toEqual(generateEvents(now));
  });

  test('the database gives payloads back as they were made', async () => {
    const now = new Date();
    await loadEvents(client, { now });
    const { rows } = await client.query('SELECT * FROM events');
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    expect(rows.sort(byId)).toEqual(generateEvents(now).sort(byId));
  });
});

test('both systems fit into one database, and loading again changes nothing', async () => {
  const content = async () => {
    const { rows } = await client.query(
      `SELECT (SELECT jsonb_agg(c ORDER BY id) FROM campaigns c) AS campaigns,
              (SELECT jsonb_agg(i ORDER BY id) FROM integrations i) AS integrations,
              (SELECT jsonb_agg(f ORDER BY id) FROM feature_flags f) AS flags,
              (SELECT jsonb_agg(e ORDER BY id) FROM events e) AS events`,
    );
    return rows[0];
  };
  for (const system of exampleSystems) await system.load(client);
  const before = await content();
  for (const system of exampleSystems) await system.load(client);
  expect(await content()).toEqual(before);
});
