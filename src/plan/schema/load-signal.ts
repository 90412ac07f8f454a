import { z } from 'zod';
import { durationUpTo, slug, sql } from './parts.ts';

const mode = z
  .enum(['steer', 'stop'])
  .describe(
    '`steer` takes connections away, then shrinks batches, then pauses; `stop` pauses as soon as the limit is passed',
  );
const count = z.int().min(0);
const unit = z.string().max(16).default('');

/** A plan is read by many, and so is what comes of its probes. */
function isOpen(url: string): boolean {
  const { username, password } = new URL(url);
  return username + password === '';
}

const loadSignal = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('replication-lag'),
    mode: mode.default('stop'),
    limit: durationUpTo('52w').default('10s'),
    replicas: count.default(0).describe('Standbys that must be connected; fewer stop the backfill'),
  }),
  z.strictObject({
    kind: z.literal('lock-waiters'),
    mode: mode.default('steer'),
    limit: count.default(4).describe('Sessions that wait for a lock on the table'),
  }),
  z.strictObject({
    kind: z.literal('wal-rate'),
    mode: mode.default('steer'),
    limit: z.int().min(1).describe('Bytes per second, of the whole server'),
  }),
  z.strictObject({
    kind: z.literal('archive-backlog'),
    mode: mode.default('steer'),
    limit: z.int().min(1).default(64).describe('WAL segments that wait to be archived'),
  }),
  z.strictObject({ kind: z.literal('wraparound-vacuum'), mode: mode.default('stop') }),
  z.strictObject({
    kind: z.literal('dead-tuples'),
    mode: mode.default('steer'),
    limit: z.number().gt(0).max(1).default(0.3).describe('Share of all rows of the table'),
  }),
  z.strictObject({
    kind: z.literal('oldest-xmin'),
    mode: mode.default('stop'),
    limit: durationUpTo('52w')
      .default('30m')
      .describe('Age of the oldest transaction that holds back vacuum'),
  }),
  z.strictObject({
    kind: z.literal('sql'),
    mode: mode.default('steer'),
    name: slug,
    sql: sql.describe('One read-only statement on the target that returns one number'),
    limit: z.number().gt(0),
    unit,
  }),
  z.strictObject({
    kind: z.literal('http'),
    mode: mode.default('steer'),
    name: slug,
    url: z.url({ protocol: /^https?$/, abort: true }).refine(isOpen, 'leave user and password out'),
    path: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Where the number is in the JSON answer: "latency.p99"; without it, the time of the answer in ms',
      ),
    limit: z.number().gt(0),
    unit,
  }),
]);

export const throttle = z
  .array(loadSignal)
  .default([
    { kind: 'replication-lag', mode: 'stop', limit: '10s', replicas: 0 },
    { kind: 'lock-waiters', mode: 'steer', limit: 4 },
    { kind: 'archive-backlog', mode: 'steer', limit: 64 },
    { kind: 'wraparound-vacuum', mode: 'stop' },
  ])
  .describe('What is watched while batches run; an empty list watches nothing');
