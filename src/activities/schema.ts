import type { SchemaChangeInput } from '../contracts/activities.ts';
import { recordEvent } from '../db/run-events.ts';
import { applyStatements } from '../targets/postgres/schema-change.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

export function schemaActivities(dependencies: Dependencies) {
  return {
    changeSchema: (input: SchemaChangeInput): Promise<{ applied: number }> =>
      whileHeartbeating(async (signal) => {
        const { applied, skipped } = await applyStatements(targetNamed(dependencies, input.target), input, {
          signal,
          onRetry: ({ index, attempt, attempts, reason }) => {
            const message = `statement ${index + 1} waits for its lock (attempt ${attempt} of ${attempts}): ${reason}`;
            // Watchers can do without it; the change itself must not stop for it.
            recordEvent(dependencies.db, {
              runId: input.runId,
              type: 'note',
              phase: input.phase,
              message,
            }).catch(() => {});
          },
        });
        return { applied: input.direction === 'up' ? applied + skipped : applied };
      }),
  };
}
