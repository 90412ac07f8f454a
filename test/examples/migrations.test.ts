import { expect, test } from 'vitest';
import { exampleSystems } from '../../examples/index.ts';
import { compare } from '../../src/domain/compare.ts';
import type { Plan, ValidationQuery } from '../../src/domain/plan.ts';
import type { ExceptionDecision, ExceptionFilter } from '../../src/domain/row-exception.ts';
import { readCheckpoint } from '../../src/engine/backfill/records.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { dryRunBackfill } from '../../src/engine/dry-run/dry-run.ts';
import { decideExceptions } from '../../src/engine/exceptions/decide.ts';
import { TransformRegistry } from '../../src/engine/transform/transform.ts';
import { undoSlice } from '../../src/engine/undo/undo.ts';
import { readOnlyQuery } from '../../src/targets/postgres/read-only-query.ts';
import { campaigns, events, loadSystemsForEachTest, phaseOf } from './loaded-systems.ts';

const RUN = 'run-1';
const systems = loadSystemsForEachTest();

async function execute(statements: string[]): Promise<void> {
  for (const statement of statements) await systems.client.query(statement);
}

const transforms = new TransformRegistry(exampleSystems.flatMap((system) => system.transforms));
const jobOf = (plan: Plan) => ({ runId: RUN, phase: phaseOf(plan, 'backfill'), transforms });

async function backfill(plan: Plan) {
  await execute(phaseOf(plan, 'schema').up);
  const { counts } = await runSlice(systems.target, jobOf(plan));
  return counts;
}

const query = async (sql: string) => await readOnlyQuery(systems.target, sql, { run_id: RUN });

async function meets({ sql, expect: wanted }: ValidationQuery): Promise<boolean> {
  const { rows, columns } = await query(sql);
  switch (wanted.kind) {
    case 'no-rows':
      return rows.length === 0;
    case 'values':
      return Object.entries(wanted.values).every(
        ([column, value]) => String(rows[0]?.[column]) === String(value),
      );
    case 'compare':
      return compare(Number(rows[0]?.[columns[0] ?? '']), wanted.op, wanted.value);
    case 'informational':
      return true;
  }
}

async function unmet(plan: Plan): Promise<string[]> {
  const results = await Promise.all(
    phaseOf(plan, 'validate').queries.map(async (one) => ((await meets(one)) ? [] : [one.name])),
  );
  return results.flat();
}

test('campaigns: three are migrated, four are set aside, and nothing else has changed', async () => {
  const before = await systems.client.query('SELECT * FROM campaigns ORDER BY id');
  expect(await backfill(campaigns)).toEqual({
    processed: 7,
    migrated: 3,
    skipped: 0,
    ambiguous: 4,
    failed: 0,
  });

  const after = await systems.client.query('SELECT * FROM campaigns ORDER BY id');
  const shopify = {
    integration_id: '11111111-0000-4000-8000-000000000001',
    provider: 'shopify',
    filters: { events: ['order.created'] },
  };
  const stripe = {
    integration_id: '11111111-0000-4000-8000-000000000002',
    provider: 'stripe',
    filters: { events: ['invoice.paid', 'customer.subscription.created'] },
  };
  const native = { integration_id: null, provider: 'announcements', filters: {} };
  const lists = [[shopify], [stripe], [native], null, null, null, null];
  expect(after.rows).toEqual(before.rows.map((row, index) => ({ ...row, data_sources_v2: lists[index] })));
});

test('campaigns: each of the four says why, and where it can, what was probably meant', async () => {
  await backfill(campaigns);
  const { rows } = await systems.client.query(
    `SELECT c.name, e.kind, e.reason, e.suggestion -> 0 ->> 'integration_id' AS suggestion
     FROM cutover.exception e JOIN campaigns c ON e.key = jsonb_build_array(c.id::text) ORDER BY c.id`,
  );
  const kind = 'ambiguous';
  expect(rows).toEqual([
    { name: 'Booked demos', kind, reason: 'the workspace has no calendly integration', suggestion: null },
    { name: 'Untitled campaign', kind, reason: expect.stringContaining('neither'), suggestion: null },
    {
      name: 'Bestsellers',
      kind,
      reason: expect.stringContaining('refers to integration deadbeef'),
      suggestion: '11111111-0000-4000-8000-000000000001',
    },
    {
      name: 'Outlet ticker',
      kind,
      reason: expect.stringContaining('2 woocommerce integrations match'),
      suggestion: '11111111-0000-4000-8000-000000000006',
    },
  ]);
});

test('campaigns: validation is met after the backfill, and lists the connections that no campaign uses', async () => {
  await backfill(campaigns);
  expect(await unmet(campaigns)).toEqual([]);
  const unused = phaseOf(campaigns, 'validate').queries.find(({ name }) => name === 'unused-integrations');
  const { rows } = await query(unused?.sql ?? '');
  expect(rows.map(({ name }) => name)).toEqual([
    ...['Old newsletter', 'Customer voices', 'Café Zürich', 'Outlet DE', 'Outlet AT'],
  ]);
});

test('campaigns: a campaign that is neither migrated nor set aside is found', async () => {
  await backfill(campaigns);
  await systems.client.query("UPDATE campaigns SET data_sources_v2 = '[]' WHERE name = 'Recent purchases'");
  expect(await unmet(campaigns)).toEqual(['campaigns-without-source']);
  await systems.client.query("DELETE FROM cutover.exception WHERE reason LIKE '%calendly%'");
  expect(await unmet(campaigns)).toEqual(['campaigns-without-source', 'migrated-of-total']);
});

test('campaigns: a source without its connection is found', async () => {
  await backfill(campaigns);
  await systems.client.query("DELETE FROM integrations WHERE provider = 'stripe'");
  expect(await unmet(campaigns)).toEqual(['sources-without-integration']);
});

test('campaigns: suggestions are accepted by their reason, the rest is given by hand; then all seven are migrated', async () => {
  const before = await everything();
  await backfill(campaigns);
  const decide = (decision: ExceptionDecision, filter: ExceptionFilter) =>
    decideExceptions(systems.target, jobOf(campaigns), {
      request: JSON.stringify([decision, filter]),
      by: 'ana',
      decision,
      filter,
    });
  const accept = { kind: 'resolve' } as const;
  expect(await decide(accept, { reasonContains: 'woocommerce integrations match' })).toMatchObject({
    resolved: 1,
  });
  expect(await decide(accept, { reasonContains: 'which is not a shopify integration' })).toMatchObject({
    resolved: 1,
  });
  expect(await decide(accept, {})).toMatchObject({ resolved: 0, left: 2 });
  const announcements = [{ integration_id: null, provider: 'announcements', filters: {} }];
  const byHand = { kind: 'resolve', values: { data_sources_v2: announcements } } as const;
  expect(await decide(byHand, {})).toMatchObject({ resolved: 2, left: 0 });

  const { rows } = await systems.client.query(
    `SELECT data_sources_v2 -> 0 ->> 'integration_id' AS id FROM campaigns WHERE data_sources_v2 IS NOT NULL
      ORDER BY campaigns.id OFFSET 3`,
  );
  expect(rows.map(({ id }) => id)).toEqual([
    null,
    null,
    '11111111-0000-4000-8000-000000000001',
    '11111111-0000-4000-8000-000000000006',
  ]);
  expect(await unmet(campaigns)).toEqual([]);
  const counts = (await readCheckpoint(systems.target, RUN, 'backfill'))?.counts;
  expect(counts).toEqual({ processed: 7, migrated: 7, skipped: 0, ambiguous: 0, failed: 0 });
  await undoSlice(systems.target, jobOf(campaigns));
  await execute(phaseOf(campaigns, 'schema').down);
  expect(await everything()).toEqual(before);
});

test('campaigns: a decided campaign that has lost its sources is found', async () => {
  await backfill(campaigns);
  await decideExceptions(systems.target, jobOf(campaigns), {
    request: 'accept',
    by: 'ana',
    decision: { kind: 'resolve' },
    filter: { reasonContains: 'integrations match' },
  });
  expect(await unmet(campaigns)).toEqual([]);
  await systems.client.query("UPDATE campaigns SET data_sources_v2 = NULL WHERE name = 'Outlet ticker'");
  expect(await unmet(campaigns)).toEqual(['campaigns-without-source']);
});

test('events: all 1,005 are migrated, payloads untouched', async () => {
  const before = await systems.client.query('SELECT * FROM events ORDER BY id');
  const counts = { processed: 1_005, migrated: 1_005, skipped: 0, ambiguous: 0, failed: 0 };
  expect(await backfill(events)).toEqual(counts);
  const after = await systems.client.query('SELECT * FROM events ORDER BY id');
  expect(after.rows.map(({ canonical_event: _, ...row }) => row)).toEqual(before.rows);
  expect(after.rows.map(({ canonical_event }) => canonical_event.payload)).toEqual(
    before.rows.map(({ event_data }) => event_data),
  );
  expect(await unmet(events)).toEqual([]);
});

test('events: a recent one without canonical form is found, an old one is not missed', async () => {
  await backfill(events);
  await systems.client.query(
    "UPDATE events SET canonical_event = NULL WHERE created_at < now() - interval '30 days'",
  );
  expect(await unmet(events)).toEqual([]);
  await systems.client.query(
    'UPDATE events SET canonical_event = NULL WHERE id = (SELECT id FROM events ORDER BY created_at DESC LIMIT 1)',
  );
  expect(await unmet(events)).toEqual(['recent-without-canonical']);
});

test('events: one whose payload lost digits is found', async () => {
  await systems.client.query(
    `UPDATE events SET event_data = '{"id": 12345678901234567891}'
     WHERE id = (SELECT id FROM events ORDER BY created_at LIMIT 1)`,
  );
  await backfill(events);
  expect(await unmet(events)).toEqual(['payload-differs']);
});

test('events: payloads that are no objects fail or are ambiguous, and are left alone', async () => {
  await systems.client.query('TRUNCATE events');
  const payloads = ['null', '3', '"text"', '[{"line_items": []}]', '"{\\"line_items\\": []}"'];
  await systems.client.query(
    `INSERT INTO events (id, integration_type, event_data)
     SELECT gen_random_uuid(), 'shopify', p::jsonb FROM unnest($1::text[]) AS p`,
    [payloads],
  );
  expect(await backfill(events)).toMatchObject({ migrated: 0, ambiguous: 1, failed: 4 });
  const { rows } = await systems.client.query(
    `SELECT e.event_data, x.kind, x.reason, x.suggestion ->> 'provider_event_type' AS suggested
     FROM cutover.exception x JOIN events e ON x.key = jsonb_build_array(e.id::text)
     WHERE canonical_event IS NULL ORDER BY x.reason`,
  );
  const failed = { kind: 'failed', suggested: null };
  expect(rows).toEqual([
    {
      event_data: '{"line_items": []}',
      kind: 'ambiguous',
      reason: 'event_data is a JSON document stored as text inside JSON',
      suggested: 'order.created',
    },
    { ...failed, event_data: [{ line_items: [] }], reason: 'event_data is a list, not an object' },
    { ...failed, event_data: 3, reason: 'event_data is a number, not an object' },
    { ...failed, event_data: 'text', reason: 'event_data is a string, not an object' },
    { ...failed, event_data: null, reason: 'event_data is null, not an object' },
  ]);
});

/** Columns and indexes of both systems, and the rows that the plans could change. */
async function everything() {
  const catalog = await systems.client.query(
    `SELECT table_name AS "table", column_name AS name FROM information_schema.columns WHERE table_schema = 'public'
     UNION ALL SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`,
  );
  const campaignRows = await systems.client.query('SELECT * FROM campaigns ORDER BY id');
  const eventRows = await systems.client.query('SELECT * FROM events ORDER BY id');
  return { catalog: catalog.rows, campaigns: campaignRows.rows, events: eventRows.rows };
}

test.each([
  { plan: campaigns, counts: { processed: 7, migrated: 3, ambiguous: 4 } },
  { plan: events, counts: { processed: 1_005, migrated: 1_005, ambiguous: 0 } },
])('$plan.name: a dry run before the column exists tells what would happen', async ({ plan, counts }) => {
  const before = await everything();
  const report = await dryRunBackfill(systems.target, jobOf(plan));
  expect(report.counts).toMatchObject(counts);
  expect(await everything()).toEqual(before);
});

test.each([campaigns, events])('$name: backfill and schema leave no trace once undone', async (plan) => {
  const before = await everything();
  await backfill(plan);
  expect((await everything()).catalog).toHaveLength(before.catalog.length + 2);
  await undoSlice(systems.target, jobOf(plan));
  await execute(phaseOf(plan, 'schema').down);
  expect(await everything()).toEqual(before);
});

test.each([campaigns, events])('$name: values of others keep the column when it is undone', async (plan) => {
  const { table, columns } = phaseOf(plan, 'backfill');
  const [column] = Object.keys(columns);
  const { up, down } = phaseOf(plan, 'schema');
  await execute(up);
  await systems.client.query(
    `UPDATE ${table} SET ${column} = '[]' WHERE id = (SELECT min(id::text)::uuid FROM ${table})`,
  );
  await execute(down);
  const { rows } = await systems.client.query(`SELECT count(${column})::int AS kept FROM ${table}`);
  expect(rows).toEqual([{ kept: 1 }]);
});

test.each([campaigns, events])('$name: cleanup removes the flag and keeps the data', async (plan) => {
  await backfill(plan);
  await execute(phaseOf(plan, 'cleanup').statements);
  const { flag } = phaseOf(plan, 'rollout');
  const { rows } = await systems.client.query(
    'SELECT count(*)::int AS flags FROM feature_flags WHERE name = $1',
    [flag.name],
  );
  expect(rows).toEqual([{ flags: 0 }]);
  const kept = await systems.client.query('SELECT data_source FROM campaigns WHERE data_source IS NOT NULL');
  expect(kept.rowCount).toBe(5);
  expect((await systems.client.query('SELECT event_data FROM events')).rowCount).toBe(1_005);
});
