import fc from 'fast-check';
import { type Condition, SEMVER_COMPARISONS } from '../../../src/domain/flags/condition.ts';
import type { FlagDefinition, Segment, Serve, Split } from '../../../src/domain/flags/definition.ts';
import { TOTAL_WEIGHT } from '../../../src/domain/flags/weights.ts';
import type { EvaluationContext } from '../../../src/flags/evaluation/evaluation.ts';

/* Values come from small pools, so that conditions are often met, and contexts hold them under wrong types as well. */

const VARIANTS = ['a', 'b', 'c'];
const texts = fc.constantFrom('pro', 'free', 'pro-plus', 'admin', '5', 'x$&y"');
const comparedTexts = fc.oneof(texts, fc.constant('Zürich'));
const numbers = fc.constantFrom(-1, 0, 0.5, 5, 18, 1e6);
const versions = fc.constantFrom('1.0.0', '1.2.3', 'v1.2.3', '2.0.0-rc.1', '2.0.0', '10.1.0+7', '1', '1.2');
const key = fc.string({ unit: 'binary-ascii', maxLength: 12 });
const attribute = fc.constantFrom('plan', 'age', 'version', 'roles', 'member', 'user.plan', 'targetingKey');

const attributeCondition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ attribute, op: fc.constant('exists' as const) }),
  fc.record({
    attribute,
    op: fc.constant('equals' as const),
    value: fc.oneof(comparedTexts, numbers, fc.boolean()),
  }),
  fc.record({
    attribute,
    op: fc.constant('in' as const),
    values: fc.array(fc.oneof(comparedTexts, numbers, fc.boolean()), { maxLength: 12 }),
  }),
  fc.record({
    attribute,
    op: fc.constantFrom('startsWith' as const, 'endsWith' as const, 'contains' as const),
    values: fc.array(fc.oneof(comparedTexts, fc.constantFrom('p', 'ro', 'n')), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({
    attribute,
    op: fc.constantFrom('<' as const, '<=' as const, '>' as const, '>=' as const),
    value: numbers,
  }),
  fc.record({
    attribute: fc.constantFrom('version', 'plan', 'age'),
    op: fc.constant('semver' as const),
    comparison: fc.constantFrom(...SEMVER_COMPARISONS),
    version: fc.constantFrom('1.0.0', '1.2.3', '2.0.0-rc.1', '2.0.0'),
  }),
);

/** Conditions that may lead to the segments. */
function conditionOver(segments: readonly string[]): fc.Arbitrary<Condition> {
  const leaves =
    segments.length > 0
      ? fc.oneof(attributeCondition, fc.record({ segment: fc.constantFrom(...segments) }))
      : attributeCondition;
  return fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { maxDepth: 3 },
      leaves,
      fc.record({ all: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('condition') }),
    ),
  })).condition;
}

/** Always `staff` and `beta`, of which the second may use the first. */
export const arbitrarySegments: fc.Arbitrary<Segment[]> = fc
  .tuple(
    fc.array(conditionOver([]), { maxLength: 2 }),
    fc.array(conditionOver(['staff']), { minLength: 1, maxLength: 2 }),
  )
  .map(([staff, beta]) => [
    { key: 'staff', rules: staff },
    { key: 'beta', rules: beta },
  ]);

const split: fc.Arbitrary<Split> = fc
  .record({
    cuts: fc.array(fc.integer({ min: 0, max: TOTAL_WEIGHT }), { maxLength: 4 }),
    names: fc.array(fc.constantFrom(...VARIANTS), { minLength: 5, maxLength: 5 }),
    by: fc.constantFrom(undefined, 'targetingKey', 'user.plan', 'age', 'roles'),
    salt: fc.constantFrom(undefined, 'shared', 'a"b\\c$&'),
  })
  .map(({ cuts, names, by, salt }) => {
    const bounds = [0, ...cuts.toSorted((a, b) => a - b), TOTAL_WEIGHT];
    const weights = bounds
      .slice(1)
      .map((bound, i) => ({ variant: names[i] ?? 'a', weight: bound - (bounds[i] ?? 0) }));
    return { by, salt, weights };
  });

const serve: fc.Arbitrary<Serve> = fc.oneof(
  fc.record({ variant: fc.constantFrom(...VARIANTS) }),
  fc.record({ split }),
);

/** Valid flags of text values that may use the segments `staff` and `beta`. */
export const arbitraryFlag: fc.Arbitrary<FlagDefinition> = fc.record({
  key: fc.constantFrom('one', 'two', 'three', 'four', 'five'),
  state: fc.constantFrom('enabled', 'enabled', 'enabled', 'disabled'),
  variants: fc.constant(Object.fromEntries(VARIANTS.map((name) => [name, `value of ${name}`]))),
  defaultVariant: fc.constantFrom(...VARIANTS),
  salt: fc.stringMatching(/^[\x21-\x7e]{1,9}$/),
  rules: fc.array(fc.record({ when: conditionOver(['staff', 'beta']), serve }), { maxLength: 3 }),
  split: fc.option(split, { nil: undefined }),
});

const someValue = fc.oneof(
  texts,
  numbers,
  versions,
  fc.boolean(),
  fc.constant(null),
  fc.array(fc.oneof(texts, numbers)),
);

/** Contexts whose keys are ASCII, with any attribute absent or of a wrong type, `targetingKey` as well. */
export const arbitraryContext: fc.Arbitrary<EvaluationContext> = fc
  .record(
    {
      targetingKey: fc.oneof({ weight: 5, arbitrary: key }, { weight: 1, arbitrary: someValue }),
      // Nobody is bucketed by it, so it need not be ASCII.
      plan: fc.oneof(someValue, comparedTexts),
      age: fc.oneof(numbers, fc.integer(), someValue),
      version: fc.oneof(versions, someValue),
      roles: fc.oneof(fc.array(texts), someValue),
      member: someValue,
      user: fc.oneof(fc.record({ plan: someValue }), someValue),
    },
    { requiredKeys: [] },
  )
  .map((context) => context as EvaluationContext);
