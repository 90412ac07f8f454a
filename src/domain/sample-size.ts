/** How many rows of a table to look at, as a number or as a share of them. */
export type SampleSize = { rows: number } | { percent: number };
