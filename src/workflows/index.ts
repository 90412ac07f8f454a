/** Everything that a worker can run; the names are the workflow types. */
export { approvalPhase } from './approval.ts';
export { backfillPhase } from './backfill.ts';
export { backupPhase } from './backup.ts';
export { cleanupGuard, cleanupPhase } from './cleanup.ts';
export { dryRun } from './dry-run.ts';
export { migration } from './migration.ts';
export { rolloutPhase } from './rollout.ts';
export { rolloutStage } from './rollout-stage.ts';
export { schemaPhase } from './schema.ts';
export { soakPhase } from './soak.ts';
export { undoPhase } from './undo.ts';
export { undoRows } from './undo-rows.ts';
export { validatePhase } from './validate.ts';
