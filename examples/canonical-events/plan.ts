import { definePlan } from '../../src/plan/define-plan.ts';

const flag = { name: 'v2_canonical_system', table: 'feature_flags' };

/** Users who have the new behaviour, since the stage began or the window opened. */
const exposed = `FROM telemetry WHERE flag = '${flag.name}' AND variant = 'on' AND at >= :since`;
const watched = { window: '24h', interval: '5m' };

const gates = [
  {
    name: 'error-rate',
    // Fewer than 50 requests say nothing about one in a hundred: no row then, and the stage holds.
    sql: `SELECT 100.0 * count(*) FILTER (WHERE NOT ok) / count(*) AS percent ${exposed} HAVING count(*) >= 50`,
    op: '<' as const,
    threshold: 1,
    unit: '%',
    failureLimit: 1,
    ...watched,
  },
  {
    name: 'api-p95',
    sql: `SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS milliseconds ${exposed} AND kind = 'api'`,
    op: '<' as const,
    threshold: 500,
    unit: 'ms',
    failureLimit: 2,
    ...watched,
  },
  {
    name: 'widget-p95',
    sql: `SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS milliseconds ${exposed} AND kind = 'widget'`,
    op: '<' as const,
    threshold: 200,
    unit: 'ms',
    failureLimit: 2,
    ...watched,
  },
  {
    name: 'campaign-creation',
    sql: `SELECT 100.0 * count(*) FILTER (WHERE ok) / nullif(count(*), 0) AS percent
          ${exposed} AND kind = 'campaign_create'`,
    op: '>' as const,
    threshold: 98,
    unit: '%',
    failureLimit: 2,
    ...watched,
  },
];

export default definePlan({
  name: 'canonical-events',
  description: 'Gives every event one canonical form beside its original payload, and rolls the readers out.',
  target: 'app',
  endpoint: 'migrate-events-canonical',
  phases: [
    {
      kind: 'schema',
      name: 'add-column',
      description:
        'A nullable column, and an index of the events that still lack it: it empties as the backfill goes.',
      up: [
        'ALTER TABLE events ADD COLUMN IF NOT EXISTS canonical_event jsonb',
        `CREATE INDEX CONCURRENTLY IF NOT EXISTS events_without_canonical_idx
         ON events (created_at) WHERE canonical_event IS NULL`,
      ],
      down: [
        'DROP INDEX CONCURRENTLY IF EXISTS events_without_canonical_idx',
        // The backfill's undo comes first. What is left in the column then is not this run's: it stays, column and all.
        `DO $$
         BEGIN
           IF NOT EXISTS (SELECT FROM events WHERE canonical_event IS NOT NULL) THEN
             ALTER TABLE events DROP COLUMN canonical_event;
           END IF;
         END
         $$`,
      ],
    },
    {
      kind: 'backup',
      name: 'backup',
      description: 'The last 30 days: what templates still show.',
      tables: [{ table: 'events', where: "created_at > now() - interval '30 days'" }],
    },
    {
      kind: 'backfill',
      name: 'backfill',
      description: 'Each event normalised by its provider; unknown providers by a general rule.',
      table: 'events',
      where: 'canonical_event IS NULL',
      transform: { kind: 'registered', name: 'canonical-event', version: 1 },
      columns: { canonical_event: 'jsonb' },
      batchSize: 100,
      undo: { kind: 'journal' },
    },
    {
      kind: 'validate',
      name: 'validate',
      queries: [
        {
          name: 'recent-without-canonical',
          sql: `SELECT count(*) AS missing FROM events
                WHERE created_at > now() - interval '30 days' AND canonical_event IS NULL`,
          expect: { kind: 'compare', op: '=', value: 0 },
        },
        {
          name: 'payload-differs',
          sql: `SELECT id FROM events
                WHERE canonical_event IS NOT NULL AND canonical_event -> 'payload' IS DISTINCT FROM event_data`,
          expect: { kind: 'no-rows' },
        },
        {
          name: 'migrated-of-total',
          sql: 'SELECT count(*) AS total, count(canonical_event) AS migrated FROM events',
          expect: { kind: 'informational' },
        },
        {
          name: 'recent-by-provider',
          sql: `SELECT canonical_event ->> 'provider' AS provider, count(*) AS events FROM events
                WHERE created_at > now() - interval '30 days' GROUP BY 1 ORDER BY 2 DESC`,
          expect: { kind: 'informational' },
        },
      ],
    },
    {
      kind: 'approval',
      name: 'approval',
      description: 'Somebody has read the report and lets users in.',
      roles: ['approver'],
      count: 1,
      deadline: '48h',
    },
    {
      kind: 'rollout',
      name: 'rollout',
      flag,
      stages: [
        { percentage: 10, hold: '24h' },
        { percentage: 50, hold: '48h' },
        { percentage: 100, hold: '1w' },
      ],
      gates,
    },
    {
      kind: 'soak',
      name: 'soak',
      description: 'Two weeks at 100 % under the same gates.',
      flag,
      for: '2w',
      gates,
    },
    {
      kind: 'cleanup',
      name: 'cleanup',
      description: 'The flag goes, once the application no longer asks for it; event_data stays as it came.',
      after: { flag, for: '2w' },
      statements: [
        `DELETE FROM feature_flags WHERE name = '${flag.name}'`,
        'DROP INDEX CONCURRENTLY IF EXISTS events_without_canonical_idx',
      ],
    },
  ],
});
