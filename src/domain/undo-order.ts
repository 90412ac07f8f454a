import type { Phase } from './plan.ts';

/**
 * Phases in the order in which they are undone: the last one first. Syncs go before anything that touches rows or the schema,
 * so that no sync can write again what is being put back; flags that later phases have opened are closed before that.
 */
export function undoOrder(begun: readonly Phase[]): Phase[] {
  const reversed = begun.toReversed();
  const syncs = reversed.filter(({ kind }) => kind === 'sync');
  const others = reversed.filter(({ kind }) => kind !== 'sync');
  const first = others.findIndex(({ kind }) => TOUCHES_TABLES.has(kind));
  const at = first === -1 ? others.length : first;
  return [...others.slice(0, at), ...syncs, ...others.slice(at)];
}

const TOUCHES_TABLES = new Set<Phase['kind']>(['schema', 'backup', 'backfill', 'verify', 'cleanup']);
