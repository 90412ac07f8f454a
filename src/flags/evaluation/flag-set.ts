import type { FlagDefinition, Segment } from '../../domain/flags/definition.ts';
import { InvalidFlagError } from '../../domain/flags/problem.ts';
import type { Segments } from '../../domain/flags/validate-condition.ts';
import { compile } from './compile.ts';
import { type Evaluation, type EvaluationContext, evaluation, type FlagEvaluator } from './evaluation.ts';

/** All flags of one environment, as they were when the set was made. */
export type FlagSet = {
  readonly keys: readonly string[];
  /** Never throws: what is wrong is in the evaluation, which then has no value. */
  evaluate(key: string, context: EvaluationContext): Evaluation;
  /** Flags that are not valid, which answer with PARSE_ERROR. The others are not concerned. */
  readonly invalid: readonly InvalidFlagError[];
};

const NOT_FOUND = evaluation('ERROR', {
  errorCode: 'FLAG_NOT_FOUND',
  errorMessage: 'there is no flag of that key in this environment',
});

export function compileFlags(flags: readonly FlagDefinition[], segments: readonly Segment[] = []): FlagSet {
  const byKey: Segments = new Map(segments.map((segment) => [segment.key, segment]));
  const evaluators = new Map<string, FlagEvaluator>();
  const invalid: InvalidFlagError[] = [];
  for (const flag of flags) {
    try {
      evaluators.set(flag.key, compile(flag, byKey));
    } catch (error) {
      if (!(error instanceof InvalidFlagError)) throw error;
      invalid.push(error);
      const answer = evaluation('ERROR', { errorCode: 'PARSE_ERROR', errorMessage: error.message });
      evaluators.set(flag.key, () => answer);
    }
  }
  return {
    keys: [...evaluators.keys()],
    evaluate: (key, context) => evaluators.get(key)?.(context) ?? NOT_FOUND,
    invalid,
  };
}
