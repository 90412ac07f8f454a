import { budgetExceeded } from '../../domain/error-budget.ts';
import { asRowCounts, type VerifyCounts } from '../../domain/verification.ts';
import type { Claimant } from '../../targets/postgres/backfill/ranges.ts';
import {
  makeVerificationDurable,
  selectVerification,
  type Verification,
} from '../../targets/postgres/verify/verifications.ts';
import type { Target } from '../../targets/target.ts';
import type { OpenOptions } from '../backfill/open.ts';
import { type Pace, steadyPace } from '../backfill/pace.ts';
import { withReadAhead } from '../backfill/read-ahead.ts';
import { Retries } from '../backfill/retries.ts';
import { wait } from '../backfill/wait.ts';
import { BudgetExceeded, LeaseLost } from '../errors.ts';
import { batchOptions, SliceClock } from '../job.ts';
import type { VerifyJob } from './job.ts';
import { judgeSuspects } from './judge.ts';
import { ONE_MOMENT } from './look.ts';
import { openVerification } from './open.ts';
import { repairRows } from './repair.ts';
import { Scan, type Verifying } from './scan.ts';

export type VerifyProgress = {
  /** Totals of the phase, over all slices and lanes. */
  counts: VerifyCounts;
  estimatedRows: number;
  /** Of all lanes together, since this slice began. */
  rowsPerSecond: number;
};

export type VerifyResult = {
  done: boolean;
  /** Totals of the phase, over all slices and lanes. */
  counts: VerifyCounts;
  /** By this slice alone. */
  checkedThisSlice: number;
  estimatedRows: number;
  /** No chunk may run before; why says what is in the way. */
  closed?: { until: Date; why: string } | undefined;
};

export type VerifyOptions = OpenOptions & {
  /** The lane that this is; several lanes of a verification may run at once, each under its own name. */
  claimant?: Claimant | undefined;
  pace?: Pace | undefined;
  onProgress?: ((progress: VerifyProgress) => void) | undefined;
  /** Progress is told at most this often, in milliseconds. */
  progressMs?: number | undefined;
  /** Between two looks whether there is something to do, in milliseconds. */
  waitMs?: number | undefined;
  /** How long a row that differs has to stay as it is before that counts, in milliseconds. */
  settleMs?: number | undefined;
  /** How long a captured row may wait to be derived, in milliseconds, before it is left to its sync. */
  capturedMs?: number | undefined;
  /** After so many milliseconds a lane has to share the suspects that it has taken with others. */
  leaseMs?: number | undefined;
};

const WAIT_MS = 250;
const SETTLE_MS = 1_000;
const CAPTURED_MS = 60_000;
const LEASE_MS = 60_000;
/** Differing rows that are recorded one by one; beyond that they are counted. */
const LISTED_ROWS = 1_000;

/**
 * Works as one lane of the verification: claims a range of keys and checks chunk after chunk whether each row is what its
 * transform makes of it, then looks again at those that are not, and repairs or records them, until all is done or the time is
 * used up. Call it again until it says `done`; call it several times at once to work on several ranges.
 *
 * It holds while the application writes: a chunk is seen at one moment, rows whose change is yet to be derived are known by
 * their captured keys, and a row counts as differing only when it stays so.
 * @throws BudgetExceeded when too many rows cannot be derived, BackfillNotBegun, BackfillUndone, BatchNeverEnds, LeaseLost when
 * another attempt has begun, the signal's reason, or the server's error.
 */
export async function verifySlice(
  target: Target,
  job: VerifyJob,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const { derivation, verification } = await openVerification(target, job, options);
  const { settleMs = SETTLE_MS, capturedMs = CAPTURED_MS, leaseMs = LEASE_MS } = options;
  let scan: Scan | undefined;
  try {
    return await target.hold({ ...batchOptions(options), prelude: ONE_MOMENT }, (held) =>
      withReadAhead(target, derivation.context, options, (ahead) => {
        const verifying = { held, job, derivation, id: verification.id, settleMs, capturedMs, leaseMs };
        scan = new Scan(verifying, options, ahead);
        return new Slice(verifying, scan, verification, options).run();
      }),
    );
  } finally {
    await scan?.abandon(target);
  }
}

class Slice {
  readonly #verifying: Verifying;
  readonly #scan: Scan;
  readonly #pace: Pace;
  readonly #options: VerifyOptions;
  readonly #clock = new SliceClock();
  readonly #checkedBefore: number;
  readonly #retries: Retries;
  #verification: Verification;

  constructor(verifying: Verifying, scan: Scan, verification: Verification, options: VerifyOptions) {
    this.#verifying = verifying;
    this.#scan = scan;
    this.#verification = verification;
    this.#checkedBefore = verification.counts.checked;
    this.#options = options;
    this.#retries = new Retries(verifying.job.phase.name, options);
    this.#pace = options.pace ?? steadyPace(verifying.job.phase);
  }

  async run(): Promise<VerifyResult> {
    for (;;) {
      const admission = await this.#pace.admit(this.#verifying.held);
      if (admission.kind === 'closed') return this.#result(admission);
      if (admission.kind === 'stand-by') {
        await this.#scan.letGo();
        await this.#idle();
      } else if (!(await this.#trying(admission.rows))) {
        await this.#idle();
      }
      if (this.#verification.done || this.#clock.isOver(this.#options)) return this.#result();
      if (this.#clock.isTimeToTell(this.#options)) await this.#tell();
    }
  }

  /** Returns whether there was something to do. Rows are looked at again when they have had time to settle. */
  async #step(rows: number): Promise<boolean> {
    if (await this.#scan.claim()) {
      const began = this.#clock.elapsedMs();
      const covered = await this.#scan.chunk(rows);
      if (covered !== undefined) this.#pace.took({ rows: covered, ms: this.#clock.elapsedMs() - began });
      return true;
    }
    await this.#look();
    const listed = Math.max(0, LISTED_ROWS - this.#verification.counts.differing);
    const judged = await judgeSuspects(this.#verifying, listed);
    const repaired = await repairRows(this.#verifying);
    return judged + repaired > 0;
  }

  /** The same, unless it fails in a way that passes: then there is something to do again. */
  async #trying(rows: number): Promise<boolean> {
    try {
      const busy = await this.#step(rows);
      this.#retries.succeeded();
      return busy;
    } catch (error) {
      await this.#retries.failed(error, { rows, where: this.#scan.place, pace: this.#pace });
      return true;
    }
  }

  async #idle(): Promise<void> {
    await this.#look();
    if (!this.#verification.done) await wait(this.#options.waitMs ?? WAIT_MS, this.#options.signal);
  }

  async #look(): Promise<void> {
    const { held, job, id } = this.#verifying;
    const { runId, phase, backfill } = job;
    const verification = await selectVerification(held, runId, phase.name);
    if (verification?.id !== id) throw new LeaseLost(runId, phase.name);
    this.#verification = verification;
    const { counts } = verification;
    const exceeded = budgetExceeded(backfill.errorBudget, {
      ...asRowCounts(counts),
      failed: counts.newlyFailed,
    });
    if (exceeded) throw new BudgetExceeded(phase.name, exceeded);
  }

  async #tell(): Promise<void> {
    await this.#look();
    this.#clock.told();
    const { counts } = this.#verification;
    this.#options.onProgress?.({
      counts,
      estimatedRows: estimate(this.#verification),
      rowsPerSecond: this.#clock.rate(counts.checked - this.#checkedBefore),
    });
  }

  async #result(closed?: { until: Date; why: string }): Promise<VerifyResult> {
    await this.#scan.letGo();
    await makeVerificationDurable(this.#verifying.held, this.#verifying.id);
    await this.#look();
    const { done, counts } = this.#verification;
    return {
      done,
      counts,
      checkedThisSlice: this.#scan.checked,
      estimatedRows: estimate(this.#verification),
      ...(closed ? { closed: { until: closed.until, why: closed.why } } : {}),
    };
  }
}

/** Never less than what is already checked. */
function estimate({ done, counts, estimatedRows }: Verification): number {
  return done ? counts.checked : Math.max(estimatedRows, counts.checked);
}
