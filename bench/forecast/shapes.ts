import type { z } from 'zod';
import type { Transform } from '../../src/engine/transform/transform.ts';
import { defineTransform, migrated } from '../../src/engine/transform/transform.ts';
import type { backfillPhase } from '../../src/plan/schema/backfill.ts';

/** A table called `shape`, and what a backfill does with its rows. */
export type Shape = {
  name: string;
  create(rows: number): string[];
  transform: z.input<typeof backfillPhase>['transform'];
  registered?: Transform;
  /** Share of the usual number of rows, where rows are long. */
  share?: number;
};

const numbers = (rows: number, key = 'n') =>
  `INSERT INTO shape SELECT ${key}, n, n FROM generate_series(1, ${rows}) n`;

const documents = (rows: number) => [
  'CREATE TABLE shape (id bigint PRIMARY KEY, payload jsonb, new jsonb)',
  `INSERT INTO shape
     SELECT n, jsonb_build_object(
              'name', 'Customer ' || n, 'total', (n % 10000) / 100.0,
              'address', jsonb_build_object('city', 'City ' || n % 500, 'street', repeat(md5(n::text), 3)),
              'note', repeat(md5((n * 7)::text), 3))
       FROM generate_series(1, ${rows}) n`,
];

const texts = (rows: number) => [
  'CREATE TABLE shape (id bigint PRIMARY KEY, long text, new text)',
  `INSERT INTO shape
     SELECT n, (SELECT string_agg(md5((n * 100 + i)::text), '') FROM generate_series(1, 30) i)
       FROM generate_series(1, ${rows}) n`,
];

const summary = defineTransform({
  name: 'summary',
  version: 1,
  reads: ['payload'],
  writes: ['new'],
  transform: ({ payload }) => {
    const { name, total, address } = payload as { name: string; total: number; address: { city: string } };
    return migrated({ new: { name, city: address.city, total } });
  },
});

const plus = { kind: 'sql', set: { b: 'a + 1' } } as const;

export const SHAPES: Shape[] = [
  {
    name: 'narrow',
    create: (rows) => ['CREATE TABLE shape (id bigint PRIMARY KEY, a int, b int)', numbers(rows)],
    transform: plus,
  },
  {
    name: 'wide',
    create: documents,
    transform: {
      kind: 'sql',
      set: {
        new: `jsonb_build_object('name', payload->>'name', 'city', payload->'address'->>'city', 'total', payload->'total')`,
      },
    },
  },
  {
    name: 'wide, by TypeScript',
    create: documents,
    transform: { kind: 'registered', name: 'summary', version: 1 },
    registered: summary,
  },
  {
    name: 'three more indexes',
    create: (rows) => [
      'CREATE TABLE shape (id bigint PRIMARY KEY, a int, b int, c text)',
      `INSERT INTO shape SELECT n, n, n, md5(n::text) FROM generate_series(1, ${rows}) n`,
      'CREATE INDEX ON shape (a)',
      'CREATE INDEX ON shape (c)',
      'CREATE INDEX ON shape (c, a)',
    ],
    transform: plus,
  },
  {
    name: 'an index over what is written',
    create: (rows) => [
      'CREATE TABLE shape (id bigint PRIMARY KEY, a int, b int)',
      numbers(rows),
      'CREATE INDEX ON shape (b)',
    ],
    transform: { kind: 'sql', set: { b: '(a * 7919) % 100003' } },
  },
  {
    name: 'keys in another order than rows',
    create: (rows) => [
      'CREATE TABLE shape (id uuid PRIMARY KEY, a int, b int)',
      numbers(rows, 'md5(n::text)::uuid'),
    ],
    transform: plus,
  },
  {
    name: 'room on every page',
    create: (rows) => [
      'CREATE TABLE shape (id bigint PRIMARY KEY, a int, b int) WITH (fillfactor = 45)',
      numbers(rows),
    ],
    transform: plus,
  },
  {
    name: 'long texts',
    create: texts,
    transform: { kind: 'sql', set: { new: 'upper(left(long, 900))' } },
    share: 0.2,
  },
  {
    name: 'texts too long for a page',
    create: texts,
    transform: { kind: 'sql', set: { new: 'long || upper(long) || reverse(long) || long' } },
    share: 0.2,
  },
  {
    name: 'rows for another table',
    create: (rows) => [
      'CREATE TABLE shape (id bigint PRIMARY KEY, a int, b text)',
      `INSERT INTO shape SELECT n, n, md5(n::text) FROM generate_series(1, ${rows}) n`,
      'CREATE TABLE shape_new (id bigint PRIMARY KEY, b text)',
    ],
    transform: {
      kind: 'insert',
      into: 'shape_new',
      values: { id: 'id', b: 'b' },
      identifiedBy: ['id'],
    },
  },
];
