import { listBlocked } from '../../targets/postgres/backfill/blocked-rows.ts';
import {
  advanceUndo,
  type Checkpoint,
  finishUndo,
  holdUndo,
} from '../../targets/postgres/backfill/checkpoint.ts';
import { closeKept } from '../../targets/postgres/backfill/exception-decisions.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import { countToRestore } from '../../targets/postgres/backfill/journalled.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { takeRows } from '../../targets/postgres/backfill/take-rows.ts';
import type { HeldSession, Session } from '../../targets/target.ts';
import type { BackfillJob } from '../job.ts';
import type { UndoContext } from './context.ts';
import { putBackEach } from './put-back.ts';
import { keysOf, recordLeft } from './record.ts';

/** Rows that are tried together: those that can only go back together are found among so many. */
const TOGETHER = 5_000;

/**
 * Tries rows again that the database refused to take back while others were not restored yet, such as two that swap a unique
 * value; round after round, until one brings nothing more. Then they are kept as they are.
 */
export class SecondTry {
  readonly #held: HeldSession;
  readonly #job: BackfillJob;
  readonly #context: UndoContext;
  readonly #checkpoint: Checkpoint;
  #below: Key | undefined;
  /** What the round has brought so far: rows that were restored, or that nothing can help. */
  #settled = 0;
  #lastRound = false;

  constructor(held: HeldSession, job: BackfillJob, context: UndoContext, checkpoint: Checkpoint) {
    this.#held = held;
    this.#job = job;
    this.#context = context;
    this.#checkpoint = checkpoint;
  }

  /**
   * Runs one batch, or finds the undo finished, in a transaction of its own. Whether rows were settled decides what comes
   * next, so do not end a slice before: another one would begin anew with the first round.
   * @returns `busy` when somebody else is at it.
   */
  run(): Promise<'settled' | 'none settled' | 'busy'> {
    return this.#held.transaction(async (session) => {
      if (!(await holdUndo(session, this.#checkpoint))) return 'busy';
      const keys = await takeRows(session, this.#context, {
        below: this.#below,
        limit: TOGETHER,
        setAside: 'retry',
      });
      const settled = keys.length > 0 ? await this.#batch(session, keys) : 0;
      if (keys.length === 0 && this.#below === undefined) {
        // Somebody who undoes single rows may have taken some.
        if ((await countToRestore(session, this.#context.backfill, 1)) > 0) return 'busy';
        await finishUndo(session, this.#checkpoint);
      }
      this.#settled += settled;
      this.#below = keys.length === TOGETHER ? keys.at(-1) : undefined;
      if (this.#below === undefined) this.#endRound();
      return settled > 0 ? 'settled' : 'none settled';
    });
  }

  #endRound(): void {
    this.#lastRound = this.#settled === 0;
    this.#settled = 0;
  }

  async #batch(session: Session, keys: readonly Key[]): Promise<number> {
    const { restored, kept, later, left } = await putBackEach(session, this.#context, { keys });
    const hopeless = this.#lastRound ? await this.#findHopeless(session, later) : [];
    const isKept = [...kept, ...hopeless];
    await recordLeft(session, this.#job, this.#context, { kept: isKept, later: [] });
    const ids = new Set(left.map(idOf));
    const back = keys.filter((key) => !ids.has(idOf(key)));
    await closeKept(session, this.#job.runId, this.#job.phase.name, back);
    await advanceUndo(session, this.#checkpoint, { restored, kept: isKept.length, last: undefined });
    return restored + isKept.length;
  }

  /**
   * Some rows keep others from going back that could go back together. Those that nothing can free are told apart; where
   * there are none, none of the rows can be helped.
   */
  async #findHopeless(session: Session, rows: readonly RowException[]): Promise<readonly RowException[]> {
    const blocked = new Set((await listBlocked(session, this.#context, keysOf(rows))).map(idOf));
    return blocked.size > 0 ? rows.filter(({ key }) => blocked.has(idOf(key))) : rows;
  }
}

function idOf(key: Key): string {
  return JSON.stringify(key);
}
