import { forgetRun } from '../targets/postgres/own-schema.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';

export function forgetActivities(dependencies: Dependencies) {
  return {
    forgetRun: async ({ runId, target }: { runId: string; target: string }): Promise<void> => {
      const database = targetNamed(dependencies, target);
      await database.transaction({ lockTimeoutMs: 5_000 }, (session) => forgetRun(session, runId));
    },
  };
}
