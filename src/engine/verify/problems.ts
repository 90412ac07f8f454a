import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { namesIn } from '../../domain/sql-lexer.ts';
import { TransformNotRegistered, type TransformRegistry } from '../transform/transform.ts';

/**
 * What lint cannot see of a verification, since it does not know what registered transforms write. Paths are relative to the
 * phase.
 */
export function verifyProblems(
  { name, where, transform }: BackfillPhase,
  transforms: TransformRegistry,
): PlanProblem[] {
  if (where === undefined || transform.kind !== 'registered') return [];
  const written = writtenBy(transform, transforms).filter((column) => namesIn(where).has(column));
  if (written.length === 0) return [];
  const columns = written.map((column) => `"${column}"`).join(', ');
  return [
    {
      path: 'backfill',
      problem: `"${name}" deals with rows by ${columns}, which its transform writes: rows would drop out of the verification once they are migrated`,
      fix: 'say in its `where` which rows the transform is for, and under `pending` which of them still need it',
    },
  ];
}

/** A transform that is not registered is a problem of the backfill itself. */
function writtenBy({ name, version }: { name: string; version: number }, transforms: TransformRegistry) {
  try {
    return transforms.lookup(name, version).writes;
  } catch (error) {
    if (error instanceof TransformNotRegistered) return [];
    throw error;
  }
}
