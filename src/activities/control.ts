import type { ControlActivities } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { finishDryRun } from '../db/dry-runs.ts';
import { recordEvent } from '../db/run-events.ts';
import { changePhase } from '../db/run-phases.ts';
import { changeStatus } from '../db/runs.ts';
import { recorded, withoutNul } from './records.ts';

/** Activities that touch only the control database. Each carries a key, so that a retry records the same thing once. */
export function controlActivities(db: ControlDb): ControlActivities {
  return {
    recordStatus: (record) => recorded(changeStatus(db, withoutNul(record))),
    recordPhase: (record) => recorded(changePhase(db, withoutNul(record))),
    recordNote: async (record) => {
      await recorded(recordEvent(db, withoutNul(record)));
    },
    finishDryRun: ({ id, phases, ...head }) => recorded(finishDryRun(db, id, head, phases)),
  };
}
