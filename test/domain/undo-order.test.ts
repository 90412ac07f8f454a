import { expect, test } from 'vitest';
import type { Phase } from '../../src/domain/plan.ts';
import { undoOrder } from '../../src/domain/undo-order.ts';

const names = (...kinds: Phase['kind'][]) =>
  undoOrder(kinds.map((kind, i) => ({ kind, name: `${kind}-${i}` }) as Phase)).map(({ name }) => name);

test('flags are closed, then syncs removed, then rows restored, then the schema reverted', () => {
  expect(names('schema', 'sync', 'backfill', 'verify', 'schema', 'rollout', 'soak')).toEqual([
    'soak-6',
    'rollout-5',
    'sync-1',
    'schema-4',
    'verify-3',
    'backfill-2',
    'schema-0',
  ]);
});

test('several syncs go together, the last one first; without anything to restore they go last', () => {
  expect(names('sync', 'backfill', 'sync', 'backfill')).toEqual([
    'sync-2',
    'sync-0',
    'backfill-3',
    'backfill-1',
  ]);
  expect(names('sync', 'approval')).toEqual(['approval-1', 'sync-0']);
  expect(names('schema')).toEqual(['schema-0']);
});
