import { ApplicationFailure } from '@temporalio/activity';
import { FAILURE } from '../contracts/errors.ts';
import type { ControlDb } from '../db/control-db.ts';
import type { TransformRegistry } from '../engine/transform/transform.ts';
import type { Target } from '../targets/target.ts';

/** What the activities of a worker work with; composed once, in the worker. */
export type Dependencies = {
  db: ControlDb;
  targets: ReadonlyMap<string, Target>;
  transforms: TransformRegistry;
};

/** @throws ApplicationFailure, not retryable, when this worker has no such target. */
export function targetNamed({ targets }: Dependencies, name: string): Target {
  const target = targets.get(name);
  if (target) return target;
  const known = [...targets.keys()].join(', ') || 'none';
  throw ApplicationFailure.create({
    type: FAILURE.notConfigured,
    message: `this worker has no target "${name}" (configured: ${known}); add it to CUTOVER_TARGETS`,
    nonRetryable: true,
  });
}
