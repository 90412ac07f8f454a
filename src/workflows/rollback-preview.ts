import type { RollbackPreviewInput, RollbackStep } from '../contracts/runs.ts';
import { long } from './activities.ts';

/** Finds out what a rollback would do, and does nothing. */
export async function rollbackPreview(input: RollbackPreviewInput): Promise<RollbackStep[]> {
  return long(input.target, 'Find out what a rollback would do').previewRollback(input);
}
