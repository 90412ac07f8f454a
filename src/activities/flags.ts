import type { FlagInput, PhaseRef } from '../contracts/activities.ts';
import { recordEvent } from '../db/run-events.ts';
import type { FlagReference } from '../domain/plan.ts';
import type { FlagState } from '../flags/flag-store.ts';
import { createTableFlagStore } from '../flags/table-flag-store.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';

export function flagActivities(dependencies: Dependencies) {
  return {
    setFlag: async ({ runId, target, phase, flag, percentage, enabled, key }: FlagInput): Promise<void> => {
      const store = createTableFlagStore(targetNamed(dependencies, target), flag.table);
      const closing = !enabled && percentage === 0;
      if (!(closing && (await store.read(flag.name)) === undefined))
        await store.write(flag.name, { enabled, percentage });
      await recordEvent(dependencies.db, {
        runId,
        key,
        type: 'flag',
        phase,
        message: `${flag.name} set to ${percentage} %${enabled ? '' : ' and disabled'}`,
        data: { flag: flag.name, percentage, enabled },
      });
    },

    readFlag: async ({ target, flag }: PhaseRef & { flag: FlagReference }): Promise<FlagState> => {
      const state = await createTableFlagStore(targetNamed(dependencies, target), flag.table).read(flag.name);
      if (state) return state;
      throw new Error(`flag "${flag.name}" is no longer in ${flag.table}; restore its row, then resume`);
    },
  };
}
