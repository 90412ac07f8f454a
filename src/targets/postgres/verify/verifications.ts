import type { VerifyCounts } from '../../../domain/verification.ts';
import type { Session } from '../../target.ts';

/** How far a verification is, as it was last committed. */
export type Verification = {
  /** Names it in `cutover.range` and `cutover.suspect`. */
  id: string;
  attempt: string;
  estimatedRows: number;
  counts: VerifyCounts;
  /** Every range is done, and nothing is left to be looked at again. */
  done: boolean;
};

const SELECT = `
  SELECT id::text, attempt, estimated_rows::float8 AS "estimatedRows", ranges.done AND ranges.found = settled AND ranges.surplus = v.surplus + surplus_gone AS done,
         json_build_object('checked', ranges.checked, 'equal', ranges.equal + passed, 'skipped', ranges.skipped + v.skipped,
                           'waiting', waiting, 'repaired', repaired, 'differing', differing, 'ambiguous', ambiguous,
                           'failed', failed, 'pending', ranges.found - settled, 'newlyFailed', newly_failed, 'surplus', v.surplus) AS counts
    FROM cutover.verification AS v
   CROSS JOIN LATERAL (
     SELECT coalesce(sum(processed), 0) AS checked, coalesce(sum(migrated), 0) AS equal,
            coalesce(sum(skipped), 0) AS skipped, coalesce(sum(failed), 0) AS found, coalesce(sum(ambiguous), 0) AS surplus,
            coalesce(bool_and(done), true) AS done
       FROM cutover.range WHERE backfill = v.id) AS ranges
   CROSS JOIN LATERAL (SELECT passed + v.skipped + waiting + repaired + differing + ambiguous + failed AS settled) AS sums
   WHERE run_id = $1 AND phase = $2`;

/** The phase's verification; undefined when it never began on this target. */
export async function selectVerification(
  session: Session,
  runId: string,
  phase: string,
): Promise<Verification | undefined> {
  const { rows: schema } = await session.query<{ there: boolean }>(
    `SELECT to_regclass('cutover.verification') IS NOT NULL AS there`,
  );
  if (!schema[0]?.there) return undefined;
  const { rows } = await session.query<Verification>(SELECT, [runId, phase]);
  return rows[0];
}

/**
 * Makes sure that the phase has a verification of this attempt; what an earlier attempt has left is forgotten. Whoever takes
 * it holds it until the transaction ends.
 * @returns `id`, and whether it is new and has no ranges yet.
 */
export async function takeVerification(
  session: Session,
  runId: string,
  phase: string,
  attempt: string,
): Promise<{ id: string; isNew: boolean }> {
  const { rowCount: inserted } = await session.query(
    'INSERT INTO cutover.verification (run_id, phase, attempt) VALUES ($1, $2, $3) ON CONFLICT (run_id, phase) DO NOTHING',
    [runId, phase, attempt],
  );
  const { rows } = await session.query<{ id: string; attempt: string }>(
    'SELECT id::text, attempt FROM cutover.verification WHERE run_id = $1 AND phase = $2 FOR UPDATE',
    [runId, phase],
  );
  const found = rows[0];
  if (!found) throw new Error(`the verification "${phase}" of run ${runId} was forgotten meanwhile`);
  if (inserted > 0 || found.attempt === attempt) return { id: found.id, isNew: inserted > 0 };
  await session.query('DELETE FROM cutover.range WHERE backfill = $1', [found.id]);
  await session.query('DELETE FROM cutover.suspect WHERE verification = $1', [found.id]);
  // Changed in place, so that whoever waits for the row gets to see it.
  const { rows: renewed } = await session.query<{ id: string }>(
    `UPDATE cutover.verification
        SET id = DEFAULT, attempt = $2, passed = 0, skipped = 0, waiting = 0, repaired = 0, differing = 0, ambiguous = 0,
            failed = 0, newly_failed = 0, surplus = 0, surplus_gone = 0
      WHERE id = $1
     RETURNING id::text`,
    [found.id, attempt],
  );
  return { id: renewed[0]?.id ?? found.id, isNew: true };
}

/** What an earlier verification has found and nobody has decided about is settled by the next, which looks again. */
export async function closeDifferences(session: Session, runId: string, backfill: string): Promise<void> {
  await session.query(
    `UPDATE cutover.exception
        SET status = 'replayed', note = 'a later verification looks at the row again', decided_at = now(), seen = NULL,
            revision = revision + 1, changed_in = pg_current_xact_id()
      WHERE run_id = $1 AND phase = $2 AND kind = 'differs' AND status = 'open'`,
    [runId, backfill],
  );
}

export async function setEstimate(session: Session, id: string, rows: number): Promise<void> {
  await session.query('UPDATE cutover.verification SET estimated_rows = $2 WHERE id = $1', [
    id,
    Math.round(rows),
  ]);
}

/** What became of rows that were found differing, and of copies that were found without a row. */
export type Settled = { passed: number; surplusGone: number } & Pick<
  VerifyCounts,
  'skipped' | 'waiting' | 'repaired' | 'differing' | 'ambiguous' | 'failed' | 'newlyFailed' | 'surplus'
>;

const SETTLED: Record<keyof Settled, string> = {
  passed: 'passed',
  skipped: 'skipped',
  waiting: 'waiting',
  repaired: 'repaired',
  differing: 'differing',
  ambiguous: 'ambiguous',
  failed: 'failed',
  newlyFailed: 'newly_failed',
  surplus: 'surplus',
  surplusGone: 'surplus_gone',
};

/** Counts what was settled, in the transaction that settles it; do it last, since others wait for it. */
export async function addSettled(session: Session, id: string, settled: Partial<Settled>): Promise<void> {
  const added = Object.entries(settled).filter(([, rows]) => rows > 0) as [keyof Settled, number][];
  if (added.length === 0) return;
  const sums = added.map(([name], i) => `${SETTLED[name]} = ${SETTLED[name]} + $${i + 2}`);
  await session.query(`UPDATE cutover.verification SET ${sums.join(', ')} WHERE id = $1`, [
    id,
    ...added.map(([, rows]) => rows),
  ]);
}

/** Returns when all that was committed before can't be lost any more: the disk takes commits in their order. */
export async function makeVerificationDurable(session: Session, id: string): Promise<void> {
  await session.query('UPDATE cutover.verification SET attempt = attempt WHERE id = $1', [id]);
}
