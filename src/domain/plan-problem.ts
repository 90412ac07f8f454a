/** One thing that is wrong, where, and what would be right. */
export type PlanProblem = {
  /** Path in the plan document: `phases[2].queries[0].sql`. */
  path: string;
  problem: string;
  fix: string;
};
