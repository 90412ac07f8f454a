/** One thing that is wrong with a flag or a segment, where, and what would be right. */
export type FlagProblem = {
  /** Path in the definition, such as `rules[2].when.all[0]`; in a segment it begins with `segments.<key>`. */
  path: string;
  problem: string;
  fix: string;
};

/** A flag that cannot be evaluated as it is. */
export class InvalidFlagError extends Error {
  override readonly name = 'InvalidFlagError';
  readonly problems: readonly FlagProblem[];

  constructor(key: string, problems: readonly FlagProblem[]) {
    const list = problems.map(({ path, problem, fix }) => `${path}: ${problem}; ${fix}`);
    super(`flag "${key}" is not valid: ${list.join('. ')}`);
    this.problems = problems;
  }
}
