export type FlagState = {
  enabled: boolean;
  /** Share of users who get the new behaviour, 0 to 100. */
  percentage: number;
};
