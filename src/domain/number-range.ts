/** What a number lies between. */
export type NumberRange = { low: number; high: number };
