import type { BackupInput, BackupResult } from '../contracts/activities.ts';
import { backupName } from '../domain/backup-name.ts';
import { backUpTable, dropBackup } from '../targets/postgres/backup.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

export function backupActivities(dependencies: Dependencies) {
  return {
    backUp: (input: BackupInput): Promise<BackupResult> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const copies: BackupResult = [];
        for (const request of requests(input)) copies.push(await backUpTable(target, request, { signal }));
        return copies;
      }),

    dropBackups: async (input: BackupInput): Promise<string[]> => {
      const target = targetNamed(dependencies, input.target);
      const dropped: string[] = [];
      for (const request of requests(input)) {
        if (await dropBackup(target, request)) dropped.push(request.as);
      }
      return dropped;
    },
  };
}

function requests({ runId, backup, runDate }: BackupInput) {
  return backup.tables.map(({ table, where, as }) => ({
    runId,
    table,
    where,
    as: as ?? backupName(table, new Date(runDate)),
  }));
}
