import type { BackfillPhase } from '../../domain/plan.ts';
import type { HeldSession } from '../../targets/target.ts';

/** Decides for one lane when its next batch may begin and how large it may be. */
export interface Pace {
  /** Asked before each batch; may measure the database's load, in transactions of its own on the lane's connection. */
  admit(session: HeldSession): Promise<Admission>;
  /** Hears how many rows of the table a committed batch went through, whatever became of them, and how long it took. */
  took(batch: { rows: number; ms: number }): void;
  /** Hears that a batch ran into its statement timeout and was rolled back. */
  timedOut(): void;
}

export type Admission =
  | {
      kind: 'go';
      /** Rows at most. */
      rows: number;
      /** What keeps it from going faster, in words; undefined when nothing does. */
      limiter?: string | undefined;
    }
  /** The lane lets go of its range, so that others may go on with it, and asks again after a while. */
  | { kind: 'stand-by'; why: string }
  /** No batch may run for long: outside of its windows, or in a blackout. */
  | { kind: 'closed'; until: Date; why: string };

/** Batches of the plan's size, one after the other, halved when one runs into its timeout. */
export function steadyPace({ batchSize }: Pick<BackfillPhase, 'batchSize'>): Pace {
  let rows = batchSize;
  return {
    admit: async () => ({ kind: 'go', rows }),
    took: () => {},
    timedOut: () => {
      rows = Math.max(1, Math.floor(rows / 2));
    },
  };
}
