import { createHash } from 'node:crypto';
import type { Plan } from '../domain/plan.ts';

/** SHA-256 of the plan's canonical JSON (keys sorted), in hex: equal plans have equal hashes however they were written. */
export function planHash(plan: Plan): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex');
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
