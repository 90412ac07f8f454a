import { forgetRun } from '../targets/postgres/own-schema.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

export function forgetActivities(dependencies: Dependencies) {
  return {
    forgetRun: ({ runId, target }: { runId: string; target: string }): Promise<void> =>
      whileHeartbeating((signal) =>
        targetNamed(dependencies, target).transaction({ lockTimeoutMs: 5_000, signal }, (session) =>
          forgetRun(session, runId),
        ),
      ),
  };
}
