import { findBatchEnd } from '../../targets/postgres/backfill/find-key.ts';
import { advanceRange, type Claimant, type Range } from '../../targets/postgres/backfill/ranges.ts';
import type { Key } from '../../targets/postgres/backfill/table.ts';
import { insertSuspects } from '../../targets/postgres/verify/suspects.ts';
import { addSettled } from '../../targets/postgres/verify/verifications.ts';
import type { HeldSession, Session, Target } from '../../targets/target.ts';
import { HeldRanges, restOf } from '../backfill/held-ranges.ts';
import type { PreparedBatch } from '../backfill/prepared-batch.ts';
import type { ReadAhead } from '../backfill/read-ahead.ts';
import { isRowError, LeaseLost } from '../errors.ts';
import type { SliceOptions } from '../job.ts';
import { type Compared, compareWithTransform, type Derivation, findSurplus } from './compare.ts';
import { comparePrepared } from './compare-prepared.ts';
import type { VerifyJob } from './job.ts';
import { atOneMoment, atPresent, excuse, type JudgedFinding, type Look } from './look.ts';

/** What the lanes of a verification work with. */
export type Verifying = {
  held: HeldSession;
  job: VerifyJob;
  derivation: Derivation;
  /** The verification's id. */
  id: string;
  /** How long a row that differs has to stay as it is before that counts, in milliseconds. */
  settleMs: number;
  /** How long a captured row may wait to be derived, in milliseconds, before it is left to its sync. */
  capturedMs: number;
  /** After so many milliseconds a lane has to share the suspects that it has taken with others. */
  leaseMs: number;
};

type Chunk = { end: Key | undefined; found: Look; next: Range | undefined };

/** One connection's way through the ranges of a verification. */
export class Scan {
  readonly #verifying: Verifying;
  readonly #ranges: HeldRanges;
  /** Rows that this lane has checked. */
  checked = 0;

  constructor(
    verifying: Verifying,
    options: SliceOptions & { claimant?: Claimant | undefined },
    ahead: ReadAhead | undefined,
  ) {
    this.#verifying = verifying;
    this.#ranges = new HeldRanges(verifying.held, verifying.id, options, ahead);
  }

  /** Makes sure that the lane has a range to work on; false when there is none to be had at the moment. */
  claim(): Promise<boolean> {
    return this.#ranges.claim();
  }

  /** Says of the next row where that is: `after the key (5)`. */
  get place(): string {
    return this.#ranges.place;
  }

  /**
   * Checks the range's next rows and commits what was found.
   * @returns how many rows of the table it went through, about; undefined when the range was lost to another lane.
   */
  async chunk(rows: number): Promise<number | undefined> {
    const range = this.#ranges.present;
    const { held } = this.#verifying;
    try {
      const prepared = await this.#prepare(rows);
      const { end, found, next: advanced } = await this.#compare(range, rows, prepared);
      const next = advanced ?? (await atPresent(held, (session) => this.#note(session, range, end, found)));
      this.#ranges.present = next;
      this.checked += found.checked;
      // Of those that it was to cover the condition may leave out any number; at the end of a range there were fewer.
      return next.done ? found.checked : (prepared?.rows ?? rows);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      this.#ranges.present = undefined;
      return undefined;
    }
  }

  /** Lets go of what it holds, so that another lane can go on with it. */
  letGo(): Promise<void> {
    return this.#ranges.letGo();
  }

  /** The same when the lane's connection may be broken or cancelled, and was given back. */
  abandon(target: Target): Promise<void> {
    return this.#ranges.abandon(target);
  }

  /** Rows on which reading fails are looked for later. */
  async #prepare(rows: number): Promise<PreparedBatch | undefined> {
    try {
      return await this.#ranges.prepare(rows);
    } catch (error) {
      if (!isRowError(error)) throw error;
      return undefined;
    }
  }

  /** A chunk without findings, as most are, takes one transaction. */
  #compare(range: Range, rows: number, prepared: PreparedBatch | undefined): Promise<Chunk> {
    const { held, job, derivation } = this.#verifying;
    return atOneMoment(held, derivation, async (session, derivation) => {
      const usable = derivation.context.isolateFailures ? undefined : prepared;
      const { end, compared } = usable
        ? { end: usable.end, compared: await comparePrepared(session, derivation, usable) }
        : await compareNext(session, derivation, range, prepared?.rows ?? rows);
      const found = await excuse(session, job, derivation, compared);
      const next = found.findings.length === 0 ? await this.#advance(session, range, end, found) : undefined;
      return { end, found, next };
    });
  }

  async #note(session: Session, range: Range, end: Key | undefined, found: Look): Promise<Range> {
    const { job, id, settleMs } = this.#verifying;
    const suspects = found.findings.filter((finding) => !isSettled(finding));
    await insertSuspects(session, id, job.runId, suspects.map(asSuspect), settleMs);
    const next = await this.#advance(session, range, end, found);
    await addSettled(session, id, countKnown(found.findings));
    return next;
  }

  /** @throws LeaseLost */
  async #advance(
    session: Session,
    range: Range,
    end: Key | undefined,
    { checked, skipped, findings }: Look,
  ): Promise<Range> {
    const { job, id } = this.#verifying;
    const surplus = findings.filter((finding) => finding.surplus).length;
    const differing = findings.length - surplus;
    // Where a backfill counts what it set aside, a verification counts what is to be looked at again.
    const counts = {
      processed: checked,
      migrated: checked - skipped - differing,
      skipped,
      ambiguous: surplus,
      failed: differing,
    };
    const { leaseMs } = this.#ranges;
    const chunk = { cursor: end ?? range.upTo, counts, done: end === undefined, leaseMs };
    const next = await advanceRange(session, id, range, chunk);
    if (!next) throw new LeaseLost(job.runId, job.phase.name);
    return next;
  }
}

async function compareNext(
  session: Session,
  derivation: Derivation,
  range: Range,
  rows: number,
): Promise<{ end: Key | undefined; compared: Compared }> {
  const rest = restOf(range);
  const end = await findBatchEnd(session, derivation.context.table, rest, rows);
  const chunk = { ...rest, upTo: end ?? range.upTo };
  const compared = await compareWithTransform(session, derivation, chunk, false);
  const surplus = await findSurplus(session, derivation, chunk);
  return { end, compared: { ...compared, findings: [...compared.findings, ...surplus] } };
}

/** A row and a copy without one may have the same key. */
export function asSuspect({ key, surplus = false, state }: JudgedFinding) {
  return { key, surplus, state };
}

/** Nothing is to be found out about a row that was set aside before. */
export function isSettled({ excuse }: JudgedFinding): boolean {
  return excuse !== undefined && excuse !== 'captured';
}

export function countKnown(findings: readonly Pick<JudgedFinding, 'excuse'>[]) {
  const count = (why: JudgedFinding['excuse']) => findings.filter(({ excuse }) => excuse === why).length;
  return { ambiguous: count('ambiguous'), failed: count('failed'), skipped: count('accepted') };
}
