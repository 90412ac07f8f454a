import type { FlagDefinition, JsonValue, Serve, Split } from '../../domain/flags/definition.ts';
import { InvalidFlagError } from '../../domain/flags/problem.ts';
import type { Segments } from '../../domain/flags/validate-condition.ts';
import { validateFlag } from '../../domain/flags/validate-flag.ts';
import { compileCondition, type Predicate } from './compile-condition.ts';
import { compileSplit } from './compile-split.ts';
import { type Evaluation, evaluation, type FlagEvaluator, type Reason } from './evaluation.ts';

/**
 * Makes a function of a flag. All its answers are made beforehand, so that evaluating allocates nothing; later changes of the
 * definition do not reach it.
 * @throws InvalidFlagError when the definition, or a segment that it leads to, is not valid.
 */
export function compile(flag: FlagDefinition, segments: Segments = new Map()): FlagEvaluator {
  const problems = validateFlag(flag, segments);
  if (problems.length > 0) throw new InvalidFlagError(flag.key, problems);

  const answers = answersOf(flag);
  if (flag.state === 'disabled') return always(answers.disabled);
  const { rules, split } = flag;
  const last = split
    ? distribute(flag, split, answers)
    : always(answers.serve(rules.length > 0 ? 'DEFAULT' : 'STATIC', flag.defaultVariant));
  if (rules.length === 0) return last;
  return firstMatch(
    rules.map((rule) => ({
      matches: compileCondition(rule.when, segments),
      evaluate: serve(flag, rule.serve, answers),
    })),
    last,
  );
}

type Answers = {
  disabled: Evaluation;
  serve: (reason: Reason, variant: string) => Evaluation;
};

function answersOf(flag: FlagDefinition): Answers {
  const flagMetadata = deepFreeze(structuredClone(flag.metadata ?? {}));
  const variants = deepFreeze(structuredClone(flag.variants));
  return {
    disabled: evaluation('DISABLED', { flagMetadata }),
    serve: (reason, variant) => evaluation(reason, { value: variants[variant], variant, flagMetadata }),
  };
}

function serve(flag: FlagDefinition, served: Serve, answers: Answers): FlagEvaluator {
  return 'split' in served
    ? distribute(flag, served.split, answers)
    : always(answers.serve('TARGETING_MATCH', served.variant));
}

function distribute(flag: FlagDefinition, split: Split, answers: Answers): FlagEvaluator {
  return compileSplit(flag, split, {
    serve: (variant) => answers.serve('SPLIT', variant),
    without: answers.serve('DEFAULT', flag.defaultVariant),
  });
}

function always(answer: Evaluation): FlagEvaluator {
  return () => answer;
}

function firstMatch(
  rules: readonly { matches: Predicate; evaluate: FlagEvaluator }[],
  otherwise: FlagEvaluator,
): FlagEvaluator {
  return (context) => {
    for (const rule of rules) if (rule.matches(context)) return rule.evaluate(context);
    return otherwise(context);
  };
}

function deepFreeze<T extends JsonValue | object>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part);
    Object.freeze(value);
  }
  return value;
}
