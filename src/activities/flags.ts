import type { FlagInput, PhaseRef } from '../contracts/activities.ts';
import type { FlagState } from '../domain/flag-state.ts';
import type { FlagReference } from '../domain/plan.ts';
import { createTableFlagStore } from '../flags/table-flag-store.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';

export function flagActivities(dependencies: Dependencies) {
  return {
    setFlag: async ({ target, flag, percentage, enabled }: FlagInput): Promise<void> => {
      const store = createTableFlagStore(targetNamed(dependencies, target), flag.table);
      const closing = !enabled && percentage === 0;
      if (closing && (await store.read(flag.name)) === undefined) return;
      await store.write(flag.name, { enabled, percentage });
    },

    readFlag: async ({ target, flag }: PhaseRef & { flag: FlagReference }): Promise<FlagState> => {
      const state = await createTableFlagStore(targetNamed(dependencies, target), flag.table).read(flag.name);
      if (state) return state;
      throw new Error(`flag "${flag.name}" is no longer in ${flag.table}; restore its row, then resume`);
    },
  };
}
