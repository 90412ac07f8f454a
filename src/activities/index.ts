import type { ControlActivities, TargetActivities } from '../contracts/activities.ts';
import type { ControlDb } from '../db/control-db.ts';
import { backfillActivities } from './backfill.ts';
import { backupActivities } from './backup.ts';
import { controlActivities } from './control.ts';
import type { Dependencies } from './dependencies.ts';
import { dryRunActivities } from './dry-run.ts';
import { exceptionActivities } from './exceptions.ts';
import { translateFailures } from './failures.ts';
import { flagActivities } from './flags.ts';
import { forgetActivities } from './forget.ts';
import { gateActivities } from './gates.ts';
import { preflightActivities } from './preflight.ts';
import { rollbackPreviewActivities } from './rollback-preview.ts';
import { schemaActivities } from './schema.ts';
import { syncActivities } from './sync.ts';
import { undoActivities } from './undo.ts';
import { validateActivities } from './validate.ts';
import { verifyActivities } from './verify.ts';

/** Activities of the control queue. */
export function createControlActivities(db: ControlDb): ControlActivities {
  return translateFailures(controlActivities(db));
}

/** Activities of a target's queue. */
export function createTargetActivities(dependencies: Dependencies): TargetActivities {
  return translateFailures({
    ...preflightActivities(dependencies),
    ...schemaActivities(dependencies),
    ...backupActivities(dependencies),
    ...backfillActivities(dependencies),
    ...undoActivities(dependencies),
    ...rollbackPreviewActivities(dependencies),
    ...exceptionActivities(dependencies),
    ...syncActivities(dependencies),
    ...verifyActivities(dependencies),
    ...validateActivities(dependencies),
    ...flagActivities(dependencies),
    ...gateActivities(dependencies),
    ...dryRunActivities(dependencies),
    ...forgetActivities(dependencies),
  });
}
