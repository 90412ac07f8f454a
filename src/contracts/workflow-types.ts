/** Names of the workflow types that are started from outside the worker. */
export const MIGRATION_WORKFLOW = 'migration';
export const DRY_RUN_WORKFLOW = 'dryRun';
export const UNDO_ROWS_WORKFLOW = 'undoRows';
export const DECIDE_EXCEPTIONS_WORKFLOW = 'decideExceptions';
export const ROLLBACK_PREVIEW_WORKFLOW = 'rollbackPreview';
export const FORGET_RUN_WORKFLOW = 'forgetRun';
