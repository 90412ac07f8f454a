/**
 * Has the transaction's commit not wait for the disk. When the server crashes within the next moment, all of the transaction is
 * lost or none: for what is then simply done again. Can be a transaction's prelude.
 */
export const COMMIT_SOON = 'SET LOCAL synchronous_commit = off';
