/** A decision about rows that were set aside comes too late. */
export class DecisionRefused extends Error {
  override name = 'DecisionRefused';

  static undone(runId: string, phase: string): DecisionRefused {
    return new DecisionRefused(
      `phase "${phase}" of run ${runId} is being undone or was, so none of its rows is migrated any more`,
    );
  }

  static forgotten(runId: string, phase: string): DecisionRefused {
    return new DecisionRefused(
      `the target has nothing of phase "${phase}" of run ${runId}: it never began, was undone, or its run has passed a ` +
        'point of no return and is complete',
    );
  }
}

/** A value that cannot be written to its column. */
export class ValueRefused extends Error {
  override name = 'ValueRefused';
}
