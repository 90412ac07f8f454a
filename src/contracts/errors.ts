/** Types of ApplicationFailure that cross between activities, workflows and the API. */
export const FAILURE = {
  /** A command that the run does not take in its present state; details: {state, role}. */
  commandRefused: 'CommandRefused',
  /** Preflight found problems; details: a list of {path, problem, fix}. */
  preflightRefused: 'PreflightRefused',
  /** The target refused a statement for good: syntax, missing column, permission. */
  statementRefused: 'StatementRefused',
  /** A retryable fault: connection lost, lock timeout, deadlock, serialization, failover. */
  targetUnavailable: 'TargetUnavailable',
  /** The control database did not take a record; always retried. */
  controlUnavailable: 'ControlDatabaseUnavailable',
  /** Another worker has taken over the backfill. */
  leaseLost: 'LeaseLost',
  /** More rows failed than the plan allows. */
  budgetExceeded: 'ErrorBudgetExceeded',
  /** One row alone takes longer than a statement may. */
  batchNeverEnds: 'BatchNeverEnds',
  /** A decision about rows that were set aside comes too late: their backfill is undone or forgotten. */
  decisionRefused: 'DecisionRefused',
  /** A value given by a person does not fit its column. */
  valueRefused: 'ValueRefused',
  /** The locks of a sync were not free in as many attempts as the plan allows. */
  locksNotFree: 'LocksNotFree',
  /** A sync that was to be looked after is not, or no longer, on its target. */
  syncNotInstalled: 'SyncNotInstalled',
  /** A verification was to begin before its backfill. */
  backfillNotBegun: 'BackfillNotBegun',
  /** Rows differ from what their transform makes of them. */
  verificationFailed: 'VerificationFailed',
  /** A validation query did not return what the plan expects. */
  validationFailed: 'ValidationFailed',
  /** The worker has no transform, target or flag of that name. */
  notConfigured: 'NotConfigured',
} as const;
