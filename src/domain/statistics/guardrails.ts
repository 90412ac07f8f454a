import { checkErrorRate } from './finding.ts';

/**
 * The alpha of one guardrail, so that the chance that any of them rolls back a harmless change stays below the rollout's alpha
 * (C. E. Bonferroni). Beta needs no such split: a rollout goes on only when all guardrails pass, so a harmful change that shows in
 * one of them passes with that one's beta at most.
 * @param guardrails how many comparisons may roll back, over all stages of the rollout.
 * @throws RangeError when there is none, or alpha is no error rate.
 */
export function alphaPerGuardrail(alpha: number, guardrails: number): number {
  checkErrorRate('alpha', alpha);
  if (!Number.isInteger(guardrails) || guardrails < 1) {
    throw new RangeError(`${guardrails} guardrails, wanted at least one`);
  }
  return alpha / guardrails;
}
