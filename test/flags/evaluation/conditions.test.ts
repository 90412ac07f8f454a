import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../../src/domain/flags/condition.ts';
import { compileCondition } from '../../../src/flags/evaluation/compile-condition.ts';
import type { EvaluationContext } from '../../../src/flags/evaluation/evaluation.ts';
import { segmentsOf } from './support.ts';

const SEGMENTS = segmentsOf(
  { key: 'staff', rules: [{ attribute: 'email', op: 'endsWith', values: ['@example.com'] }] },
  { key: 'beta', rules: [{ segment: 'staff' }, { attribute: 'targetingKey', op: 'in', values: ['u7'] }] },
  { key: 'nobody', rules: [] },
);

const meets = (condition: Condition, context: EvaluationContext) =>
  compileCondition(condition, SEGMENTS)(context);

const anything = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.array(fc.string()),
  fc.dictionary(fc.string(), fc.string()),
);

describe('an attribute', () => {
  it.each<[string, Condition, EvaluationContext, boolean]>([
    ['a nested one', { attribute: 'user.plan', op: 'equals', value: 'pro' }, { user: { plan: 'pro' } }, true],
    ['a path that ends early', { attribute: 'user.plan', op: 'exists' }, { user: 'pro' }, false],
    ['a path through null', { attribute: 'user.plan', op: 'exists' }, { user: null }, false],
    ['a version', { attribute: 'v', op: 'semver', comparison: '>=', version: '2.0.0' }, { v: '2.1.0' }, true],
    ['no version', { attribute: 'v', op: 'semver', comparison: '!=', version: '2.0.0' }, { v: 'new' }, false],
    [
      'a number as version',
      { attribute: 'v', op: 'semver', comparison: '>', version: '2.0.0' },
      { v: 3 },
      false,
    ],
    ['what every object inherits', { attribute: 'toString', op: 'exists' }, {}, false],
    ['an element', { attribute: 'roles', op: 'contains', values: ['admin'] }, { roles: ['admin'] }, true],
    [
      'part of an element',
      { attribute: 'roles', op: 'contains', values: ['adm'] },
      { roles: ['admin'] },
      false,
    ],
    [
      'one of two parts',
      { attribute: 'name', op: 'contains', values: ['x', 'dmi'] },
      { name: 'admin' },
      true,
    ],
    ['a text for a number', { attribute: 'age', op: '>', value: 1 }, { age: '5' }, false],
    ['nothing for a number', { attribute: 'age', op: '<', value: 1 }, { age: null }, false],
    ['another type', { attribute: 'age', op: 'in', values: ['5'] }, { age: 5 }, false],
    ['no values', { attribute: 'age', op: 'in', values: [] }, { age: 5 }, false],
  ])('%s', (_, condition, context, expected) => {
    expect(meets(condition, context)).toBe(expected);
  });

  it('equals what it is, type and all', () => {
    fc.assert(
      fc.property(anything, fc.oneof(fc.string(), fc.integer(), fc.boolean()), (a, value) => {
        expect(meets({ attribute: 'a', op: 'equals', value }, { a })).toBe(a === value);
        expect(meets({ attribute: 'a', op: 'in', values: [value, 'other'] }, { a })).toBe(
          a === value || a === 'other',
        );
      }),
    );
  });

  it('compares as a number only when it is one', () => {
    fc.assert(
      fc.property(anything, fc.integer(), (a, value) => {
        const is = (op: '<' | '<=' | '>' | '>=') => meets({ attribute: 'a', op, value }, { a });
        const number = typeof a === 'number' ? a : Number.NaN;
        expect([is('<'), is('<='), is('>'), is('>=')]).toEqual([
          number < value,
          number <= value,
          number > value,
          number >= value,
        ]);
      }),
    );
  });

  it('has the parts that it is made of', () => {
    const part = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(part, part, part, (first, middle, last) => {
        const a = first + middle + last;
        const is = (op: 'startsWith' | 'endsWith' | 'contains', value: string) =>
          meets({ attribute: 'a', op, values: [value] }, { a });
        expect([is('startsWith', first), is('endsWith', last), is('contains', middle)]).toEqual([
          true,
          true,
          true,
        ]);
        expect([is('startsWith', `${a}.`), is('endsWith', `.${a}`), is('contains', `${a}.`)]).toEqual([
          false,
          false,
          false,
        ]);
      }),
    );
  });

  it('of a type that the operator is not about meets nothing, and does not throw', () => {
    const texts = ['startsWith', 'endsWith'] as const;
    fc.assert(
      fc.property(anything, (a) => {
        fc.pre(typeof a !== 'string');
        for (const op of texts) expect(meets({ attribute: 'a', op, values: ['a'] }, { a })).toBe(false);
        expect(meets({ attribute: 'a', op: 'exists' }, { a })).toBe(a !== null && a !== undefined);
      }),
    );
  });
});

describe('combined conditions', () => {
  const letters = ['a', 'b', 'c'];
  const leaf = fc
    .constantFrom(...letters)
    .map((attribute): Condition => ({ attribute, op: 'equals', value: true }));
  const { tree } = fc.letrec<{ tree: Condition }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.record({ all: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ not: tie('tree') }),
    ),
  }));
  const truth = fc.record({ a: fc.boolean(), b: fc.boolean(), c: fc.boolean() });

  /** What the tree says, by the laws of logic. */
  function holds(condition: Condition, context: Record<string, boolean>): boolean {
    if ('all' in condition) return condition.all.every((part) => holds(part, context));
    if ('any' in condition) return condition.any.some((part) => holds(part, context));
    if ('not' in condition) return !holds(condition.not, context);
    return 'attribute' in condition && context[condition.attribute] === true;
  }

  it('mean what they say', () => {
    fc.assert(
      fc.property(tree, truth, (condition, context) => {
        expect(meets(condition, context)).toBe(holds(condition, context));
      }),
    );
  });

  it.each<[string, Condition, EvaluationContext, boolean]>([
    ['a member', { segment: 'staff' }, { email: 'ana@example.com' }, true],
    ['no member', { segment: 'staff' }, { email: 'ana@example.org' }, false],
    ['a member through another segment', { segment: 'beta' }, { email: 'ana@example.com' }, true],
    ['a member by another rule', { segment: 'beta' }, { targetingKey: 'u7' }, true],
    ['a segment without rules', { segment: 'nobody' }, { targetingKey: 'u7' }, false],
    ['outside of a segment', { not: { segment: 'staff' } }, {}, true],
  ])('%s', (_, condition, context, expected) => {
    expect(meets(condition, context)).toBe(expected);
  });
});
