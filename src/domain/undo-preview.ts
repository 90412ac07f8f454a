/** What the undo of a backfill would do, as things are now. */
export type UndoPreview = {
  /** Rows that there are to restore; about so many where it is not `exact`. */
  rows: number;
  exact: boolean;
  /** Rows among them that would be left alone; null where a statement of the plan decides about that. */
  kept: KeptPreview | null;
};

export type KeptPreview = {
  rows: number;
  /** Every row was compared with what its batch had left, or rows on random pages were. */
  how: 'counted' | 'estimated';
  /** How many rows were compared. */
  compared: number;
};
