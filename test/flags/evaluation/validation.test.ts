import { describe, expect, it } from 'vitest';
import type { Condition } from '../../../src/domain/flags/condition.ts';
import type { FlagDefinition, Segment, WeightedVariant } from '../../../src/domain/flags/definition.ts';
import { validateSegment } from '../../../src/domain/flags/validate-condition.ts';
import { validateFlag } from '../../../src/domain/flags/validate-flag.ts';
import { flagOf, rolloutOf, segmentsOf } from './support.ts';

const on = { variant: 'on' };

/** `path: problem`, for each. */
const problemsOf = (changes: object, ...segments: Segment[]) =>
  validateFlag(flagOf(changes as Partial<FlagDefinition>), segmentsOf(...segments)).map(
    ({ path, problem }) => `${path}: ${problem}`,
  );
const splitProblems = (...weights: WeightedVariant[]) => problemsOf({ split: { weights } });
const conditionProblems = (when: object, ...segments: Segment[]) =>
  problemsOf({ rules: [{ when, serve: on }] }, ...segments);

describe('a flag', () => {
  it('with everything right has no problems', () => {
    const flag = rolloutOf(12.345, {
      metadata: { team: 'checkout', tier: 1, external: false },
      rules: [{ when: { segment: 'staff' }, serve: on }],
    });
    expect(validateFlag(flag, segmentsOf({ key: 'staff', rules: [] }))).toEqual([]);
  });

  it.each<[string, object, string[]]>([
    ['a bad key', { key: 'new checkout' }, ['key: "new checkout" is no key']],
    ['no state', { state: 'on' }, ['state: "on" is no state']],
    ['a salt that is not ASCII', { salt: 'señal' }, ['salt: "señal" is no salt']],
    ['no salt', { salt: '' }, ['salt: "" is no salt']],
    [
      'no variants',
      { variants: {} },
      ['variants: the flag has no variants', 'defaultVariant: there is no variant "off"'],
    ],
    [
      'variants of two types',
      { variants: { on: true, off: 0 } },
      ['variants: variants differ in type: "on" is of type boolean, "off" is of type number'],
    ],
    ['a nameless variant', { variants: { off: true, '': false } }, ['variants: a variant has no name']],
    ['an inherited name', { defaultVariant: 'toString' }, ['defaultVariant: there is no variant "toString"']],
    ['metadata of parts', { metadata: { team: ['a'] } }, ['metadata.team: ["a"] cannot be metadata']],
    [
      'a rule for an unknown variant',
      { rules: [{ when: { attribute: 'a', op: 'exists' }, serve: { variant: 'blue' } }] },
      ['rules[0].serve.variant: there is no variant "blue"'],
    ],
    [
      'a rule with a bad split',
      { rules: [{ when: { attribute: 'a', op: 'exists' }, serve: { split: { weights: [] } } }] },
      ['rules[0].serve.split.weights: the weights add up to 0'],
    ],
    [
      'a split by nothing',
      { split: { by: 'a..b', salt: '', weights: [{ variant: 'on', weight: 100_000 }] } },
      ['split.by: "a..b" is no attribute', 'split.salt: "" is no salt'],
    ],
  ])('with %s', (_, changes, problems) => {
    expect(problemsOf(changes)).toEqual(problems);
  });

  it('whose weights are too few, too many, out of range or fractions', () => {
    expect(splitProblems({ variant: 'on', weight: 99_999 })).toEqual([
      'split.weights: the weights add up to 99999',
    ]);
    expect(splitProblems({ variant: 'on', weight: 60_000 }, { variant: 'off', weight: 60_000 })).toEqual([
      'split.weights: the weights add up to 120000',
    ]);
    expect(splitProblems({ variant: 'on', weight: -1 }, { variant: 'off', weight: 100_001 })).toEqual([
      'split.weights[0].weight: -1 is no weight',
      'split.weights[1].weight: 100001 is no weight',
    ]);
    expect(splitProblems({ variant: 'on', weight: 0.5 }, { variant: 'off', weight: 99_999.5 })).toEqual([
      'split.weights[0].weight: 0.5 is no weight',
      'split.weights[1].weight: 99999.5 is no weight',
    ]);
  });
});

describe('a condition', () => {
  it.each<[string, object, string]>([
    ['an empty list', { all: [] }, 'rules[0].when.all: there is no condition'],
    [
      'a bad attribute, deep inside',
      { any: [{ not: { attribute: '', op: 'exists' } }] },
      'rules[0].when.any[0].not.attribute: "" is no attribute',
    ],
    [
      'a path into the prototype',
      { attribute: 'a.__proto__', op: 'exists' },
      'rules[0].when.attribute: "a.__proto__" is no attribute',
    ],
    [
      'an unknown operator',
      { attribute: 'a', op: 'matches', value: '.*' },
      'rules[0].when: there is no operator "matches"',
    ],
    [
      'null for a value',
      { attribute: 'a', op: 'equals', value: null },
      'rules[0].when: null is nothing that attributes are compared with',
    ],
    [
      'a list among values',
      { attribute: 'a', op: 'in', values: ['x', ['y']] },
      'rules[0].when: ["y"] is nothing that attributes are compared with',
    ],
    [
      'no texts',
      { attribute: 'a', op: 'startsWith', values: [] },
      'rules[0].when: there is no value to compare with',
    ],
    [
      'an empty text',
      { attribute: 'a', op: 'contains', values: [''] },
      'rules[0].when: "" is no text to compare with',
    ],
    ['a text for a number', { attribute: 'a', op: '<', value: '5' }, 'rules[0].when: "5" is no number'],
    [
      'half a version',
      { attribute: 'a', op: 'semver', comparison: '>', version: '1.2' },
      'rules[0].when: "1.2" is no semantic version',
    ],
    [
      'a strange comparison',
      { attribute: 'a', op: 'semver', comparison: '=>', version: '1.2.3' },
      'rules[0].when: "=>" compares no versions',
    ],
  ])('with %s', (_, when, problem) => {
    expect(conditionProblems(when)).toEqual([problem]);
  });

  it('that is nested without end', () => {
    let when: Condition = { attribute: 'a', op: 'exists' };
    for (let i = 0; i < 40; i += 1) when = { not: when };
    expect(conditionProblems(when)).toEqual([
      expect.stringMatching(/^rules\[0\]\.when(\.not)+: conditions are nested deeper than 32$/),
    ]);
  });
});

describe('segments', () => {
  const segment = (key: string, ...rules: Condition[]): Segment => ({ key, rules });

  it('must exist, also where another segment asks for them', () => {
    expect(conditionProblems({ segment: 'a' }, segment('a', { segment: 'gone' }))).toEqual([
      'segments.a.rules[0]: there is no segment "gone"',
    ]);
  });

  it('must not lead back to themselves', () => {
    const cycle = [
      segment('a', { segment: 'b' }),
      segment('b', { not: { segment: 'c' } }),
      segment('c', { segment: 'a' }),
    ];
    expect(conditionProblems({ segment: 'a' }, ...cycle)).toEqual([
      'segments.c.rules[0]: segments lead back to themselves: a → b → c → a',
    ]);
  });

  it('may be used by several others', () => {
    const diamond = [
      segment('top', { segment: 'left' }, { segment: 'right' }),
      segment('left', { segment: 'bottom' }),
      segment('right', { segment: 'bottom' }),
      segment('bottom', { attribute: 'a', op: 'exists' }),
    ];
    expect(conditionProblems({ segment: 'top' }, ...diamond)).toEqual([]);
  });

  it('must not multiply without measure', () => {
    const doubling = Array.from({ length: 30 }, (_, i) =>
      segment(`s${i + 1}`, { segment: `s${i}` }, { segment: `s${i}` }),
    );
    const problems = conditionProblems(
      { segment: 's30' },
      segment('s0', { attribute: 'a', op: 'exists' }),
      ...doubling,
    );
    expect(problems).toEqual([expect.stringMatching(/^rules: .* conditions, more than 10000$/)]);
  });

  it('are checked by themselves before they are saved, in place of the version that is there', () => {
    const saved = segmentsOf(segment('a', { attribute: 'x', op: 'exists' }), segment('b', { segment: 'a' }));
    expect(validateSegment(segment('a', { attribute: 'y', op: 'exists' }), saved)).toEqual([]);
    expect(validateSegment(segment('a', { segment: 'b' }), saved)).toMatchObject([
      { path: 'segments.b.rules[0]', problem: 'segments lead back to themselves: a → b → a' },
    ]);
    expect(validateSegment(segment('two words'), saved)).toMatchObject([
      { problem: '"two words" is no key' },
    ]);
  });
});
