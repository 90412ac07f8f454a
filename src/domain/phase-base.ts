/** What every phase has. */
export type PhaseBase = {
  /** Unique within the plan; a slug, part of workflow ids. */
  name: string;
  description: string;
  /** Once such a phase has started, the run can no longer be rolled back: a breach or failure holds for a person instead. */
  pointOfNoReturn: boolean;
  /** What a failure of the phase leads to: undo everything, or wait for `resume` (try again) or `rollback`. */
  onFailure: 'rollback' | 'hold';
  /** The phase begins only when no exception of the run is open; until then the run holds for a person. */
  noOpenExceptions: boolean;
};
