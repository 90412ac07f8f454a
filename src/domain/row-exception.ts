import type { RowCounts } from './counts.ts';

/**
 * Why a row was set aside: the transform could not decide, the row could not be migrated, undo left it as it is because it
 * changed since it was migrated, or a verification has found it other than its transform makes it.
 */
export const EXCEPTION_KINDS = ['ambiguous', 'failed', 'kept', 'differs'] as const;
export type ExceptionKind = (typeof EXCEPTION_KINDS)[number];

/**
 * What has become of the exception: nobody has decided yet; a value was written; the row was derived again and migrated;
 * or it is left as it is.
 */
export const EXCEPTION_STATUSES = ['open', 'resolved', 'replayed', 'skipped'] as const;
export type ExceptionStatus = (typeof EXCEPTION_STATUSES)[number];

/** Which exceptions are meant; those that meet every condition given. */
export type ExceptionFilter = {
  ids?: string[] | undefined;
  kind?: ExceptionKind | undefined;
  status?: ExceptionStatus | undefined;
  /** The reason in full. */
  reason?: string | undefined;
  /** A part of the reason, in the same spelling. */
  reasonContains?: string | undefined;
  sqlstate?: string | undefined;
};

/** What a person decides about rows that were set aside. */
export type ExceptionDecision =
  | {
      kind: 'resolve';
      /** Values by column, as a transform gives them to `migrated`; what the transform suggested unless given. */
      values?: Record<string, unknown> | undefined;
      /** Writes them also where the row is no longer as it was when it was set aside. */
      evenIfChanged?: boolean | undefined;
    }
  | { kind: 'replay' }
  | { kind: 'skip' };

/** A row that a decision could not settle. */
export type LeftException = { id: string; key: string[]; why: string };

/** What became of the exceptions that a decision was about. */
export type DecisionResult = {
  resolved: number;
  replayed: number;
  /** Left as they are: by the decision, by the transform, or because there is no such row to migrate any more. */
  skipped: number;
  /** Still open. */
  left: number;
  /** The first of those that are still open, with the reason. */
  examples: LeftException[];
  /** Ids that are no exception of this phase. */
  unknown: string[];
};

export type Outcome = Exclude<keyof RowCounts, 'processed'>;

/** Where the counts of the row's backfill have it; undefined when they don't. */
export function countedAs({
  kind,
  status,
}: {
  kind: ExceptionKind;
  status: ExceptionStatus;
}): Outcome | undefined {
  if (kind === 'kept' || kind === 'differs') return undefined;
  switch (status) {
    case 'open':
      return kind;
    case 'skipped':
      return 'skipped';
    default:
      return 'migrated';
  }
}
