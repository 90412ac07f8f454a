import type { ControlActivities } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { finishDryRun } from '../db/dry-runs.ts';
import { recordEvent } from '../db/run-events.ts';
import { changePhase } from '../db/run-phases.ts';
import { changeStatus } from '../db/runs.ts';

/** Activities that touch only the control database. Each carries a key, so that a retry records the same thing once. */
export function controlActivities(db: ControlDb): ControlActivities {
  return {
    recordStatus: (record) => changeStatus(db, record),
    recordPhase: (record) => changePhase(db, record),
    recordNote: async (record) => {
      await recordEvent(db, record);
    },
    finishDryRun: ({ id, phases, ...head }) => finishDryRun(db, id, head, phases),
  };
}
