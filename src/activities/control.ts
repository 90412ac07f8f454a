import type { ControlActivities } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { finishDryRun } from '../db/dry-runs.ts';
import { recordEvent } from '../db/run-events.ts';
import { changePhase } from '../db/run-phases.ts';
import { changeStatus } from '../db/runs.ts';
import { recorded } from './records.ts';

/** Activities that touch only the control database. Each carries a key, so that a retry records the same thing once. */
export function controlActivities(db: ControlDb): ControlActivities {
  return {
    recordStatus: (record) => recorded(changeStatus(db, record)),
    recordPhase: (record) => recorded(changePhase(db, record)),
    recordNote: async (record) => {
      await recorded(recordEvent(db, record));
    },
    finishDryRun: ({ id, phases, ...head }) => recorded(finishDryRun(db, id, head, phases)),
  };
}
