import { createHash } from 'node:crypto';
import { quoteIdentifier } from '../catalog.ts';

/** A name of PostgreSQL has at most 63 bytes. What is cut off is in the digest. */
const PHASE_CHARACTERS = 30;
const DIGEST_CHARACTERS = 10;

/** Names of what a sync installs: the same for the same phase of the same run, and nobody else's. */
export type SyncNames = {
  /** Quoted, with its schema. */
  function: string;
  /** Name of a trigger that does this; `what` tells the triggers of a sync apart. */
  trigger(what: string): string;
};

/**
 * Triggers of one kind fire in the order of their names; these come last, so that they see a row as the table's own triggers
 * have left it.
 */
export function syncNames(runId: string, phase: string): SyncNames {
  const digest = createHash('sha256').update(`${runId}/${phase}`).digest('hex').slice(0, DIGEST_CHARACTERS);
  const base = `${phase.slice(0, PHASE_CHARACTERS)}_${digest}`;
  return {
    function: `cutover.${quoteIdentifier(`sync_${base}`)}`,
    trigger: (what) => `zzz_cutover_${base}_${what}`,
  };
}
