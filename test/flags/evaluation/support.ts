import type {
  FlagDefinition,
  Segment,
  Split,
  WeightedVariant,
} from '../../../src/domain/flags/definition.ts';
import { rolloutWeights } from '../../../src/domain/flags/weights.ts';
import { compile } from '../../../src/flags/evaluation/compile.ts';
import type { EvaluationContext } from '../../../src/flags/evaluation/evaluation.ts';

/** A valid flag that is off for everybody, but for what a test is about. */
export function flagOf(changes: Partial<FlagDefinition> = {}): FlagDefinition {
  return {
    key: 'new-checkout',
    state: 'enabled',
    variants: { on: true, off: false },
    defaultVariant: 'off',
    salt: 'c0ffee',
    rules: [],
    ...changes,
  };
}

/** A flag that is on for a share of users. */
export function rolloutOf(percentage: number, changes: Partial<FlagDefinition> = {}): FlagDefinition {
  return flagOf({ split: { weights: rolloutWeights('on', 'off', percentage) }, ...changes });
}

/** A flag of as many variants as there are weights, `v0`, `v1`… */
export function splitOf(weights: readonly number[], split: Partial<Split> = {}): FlagDefinition {
  const named: WeightedVariant[] = weights.map((weight, i) => ({ variant: `v${i}`, weight }));
  return flagOf({
    variants: Object.fromEntries(named.map(({ variant }, i) => [variant, i])),
    defaultVariant: 'v0',
    split: { weights: named, ...split },
  });
}

export const segmentsOf = (...segments: Segment[]) =>
  new Map(segments.map((segment) => [segment.key, segment]));

export const usersOf = (count: number, name = 'user') =>
  Array.from({ length: count }, (_, i) => `${name}-${i}`);

/** Who of the users gets the variant. */
export function cohortOf(
  flag: FlagDefinition,
  users: readonly string[],
  variant = 'on',
  contextOf: (user: string) => EvaluationContext = (user) => ({ targetingKey: user }),
): Set<string> {
  const evaluate = compile(flag);
  return new Set(users.filter((user) => evaluate(contextOf(user)).variant === variant));
}
