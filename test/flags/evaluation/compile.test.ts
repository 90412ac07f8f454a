import { describe, expect, it } from 'vitest';
import type { FlagDefinition, Rule } from '../../../src/domain/flags/definition.ts';
import { InvalidFlagError } from '../../../src/domain/flags/problem.ts';
import { rolloutWeights } from '../../../src/domain/flags/weights.ts';
import { compile } from '../../../src/flags/evaluation/compile.ts';
import { compileFlags } from '../../../src/flags/evaluation/flag-set.ts';
import { flagOf, rolloutOf, segmentsOf } from './support.ts';

const PRO: Rule = { when: { attribute: 'plan', op: 'equals', value: 'pro' }, serve: { variant: 'on' } };

describe('compile', () => {
  it('serves a flag without rules to all alike: STATIC', () => {
    expect(compile(flagOf({ metadata: { team: 'checkout' } }))({ targetingKey: 'u' })).toEqual({
      value: false,
      variant: 'off',
      reason: 'STATIC',
      flagMetadata: { team: 'checkout' },
    });
  });

  it('takes the first rule that matches: TARGETING_MATCH', () => {
    const rules: Rule[] = [
      PRO,
      { when: { attribute: 'plan', op: 'exists' }, serve: { variant: 'off' } },
      { when: { not: { attribute: 'plan', op: 'exists' } }, serve: { variant: 'on' } },
    ];
    const evaluate = compile(flagOf({ rules }));
    expect(evaluate({ plan: 'pro' })).toMatchObject({ variant: 'on', reason: 'TARGETING_MATCH' });
    expect(evaluate({ plan: 'free' })).toMatchObject({ variant: 'off', reason: 'TARGETING_MATCH' });
    expect(evaluate({})).toMatchObject({ variant: 'on', reason: 'TARGETING_MATCH' });
  });

  it('says DEFAULT when no rule matches, and SPLIT when a bucket decides', () => {
    expect(compile(flagOf({ rules: [PRO] }))({})).toMatchObject({ variant: 'off', reason: 'DEFAULT' });
    const evaluate = compile(rolloutOf(100, { rules: [{ ...PRO, serve: { variant: 'off' } }] }));
    expect(evaluate({ targetingKey: 'u' })).toMatchObject({ value: true, reason: 'SPLIT' });
    expect(evaluate({ targetingKey: 'u', plan: 'pro' })).toMatchObject({ value: false });
  });

  it('splits under a rule, by the attribute that the split names', () => {
    const weights = rolloutWeights('on', 'off', 100);
    const evaluate = compile(flagOf({ rules: [{ ...PRO, serve: { split: { by: 'tenant', weights } } }] }));
    expect(evaluate({ plan: 'pro', tenant: 't1' })).toMatchObject({ value: true, reason: 'SPLIT' });
    expect(evaluate({ plan: 'pro', targetingKey: 'u' })).toMatchObject({ value: false, reason: 'DEFAULT' });
  });

  it.each([[undefined], [null], [''], [true], [Number.NaN], [{}], [['u']]])(
    'gives the default variant to whoever has %j for a key',
    (key) => {
      const weights = rolloutWeights('on', 'off', 100);
      const evaluate = compile(flagOf({ split: { by: 'id', weights } }));
      expect(evaluate({ id: key })).toMatchObject({ variant: 'off', reason: 'DEFAULT' });
    },
  );

  it('takes a number for its digits', () => {
    const split = { by: 'id', weights: rolloutWeights('on', 'off', 50) };
    const evaluate = compile(flagOf({ split }));
    for (let id = 0; id < 100; id += 1) expect(evaluate({ id })).toBe(evaluate({ id: String(id) }));
  });

  it('has no value when it is disabled, whatever the rules', () => {
    const evaluate = compile(rolloutOf(100, { state: 'disabled', rules: [PRO] }));
    expect(evaluate({ targetingKey: 'u', plan: 'pro' })).toMatchObject({
      value: undefined,
      variant: undefined,
      reason: 'DISABLED',
    });
  });

  it('keeps its answers from whoever gets them, and from later changes of the definition', () => {
    const limits = { limits: { rows: [1, 2] } };
    const definition: FlagDefinition = flagOf({ variants: { off: limits }, metadata: { team: 'a' } });
    const evaluate = compile(definition);
    const answer = evaluate({});
    limits.limits.rows.push(3);
    expect(evaluate({}).value).toEqual({ limits: { rows: [1, 2] } });
    expect(Object.isFrozen(answer)).toBe(true);
    expect(Object.isFrozen((answer.value as typeof limits).limits.rows)).toBe(true);
    expect(Object.isFrozen(answer.flagMetadata)).toBe(true);
    expect(Object.isFrozen(limits.limits.rows)).toBe(false);
  });

  it('allocates nothing for an answer', () => {
    const evaluate = compile(rolloutOf(100));
    expect(evaluate({ targetingKey: 'a' })).toBe(evaluate({ targetingKey: 'b' }));
  });

  it('refuses a flag that is not valid, and says all that is wrong', () => {
    const flag = flagOf({ defaultVariant: 'none', rules: [{ ...PRO, when: { segment: 'gone' } }] });
    const refusal = () => compile(flag, segmentsOf({ key: 'staff', rules: [] }));
    expect(refusal).toThrow(InvalidFlagError);
    expect(refusal).toThrow(
      'flag "new-checkout" is not valid: ' +
        'defaultVariant: there is no variant "none"; add it, or use one of "on", "off". ' +
        'rules[0].when: there is no segment "gone"; create it, or use one of "staff"',
    );
  });
});

describe('a set of flags', () => {
  const staff = {
    key: 'staff',
    rules: [{ attribute: 'email', op: 'endsWith', values: ['@example.com'] } as const],
  };
  const loop = { key: 'loop', rules: [{ segment: 'loop' }] };
  const flags = [
    flagOf({ key: 'plain' }),
    flagOf({ key: 'targeted', rules: [{ when: { segment: 'staff' }, serve: { variant: 'on' } }] }),
    flagOf({ key: 'broken', rules: [{ when: { segment: 'loop' }, serve: { variant: 'on' } }] }),
  ];
  const set = compileFlags(flags, [staff, loop]);

  it('evaluates by key', () => {
    expect(set.keys).toEqual(['plain', 'targeted', 'broken']);
    expect(set.evaluate('plain', {})).toMatchObject({ value: false, reason: 'STATIC' });
    expect(set.evaluate('targeted', { email: 'ana@example.com' })).toMatchObject({ value: true });
  });

  it('answers for a flag that it does not have', () => {
    for (const key of ['other', 'constructor', '__proto__', '']) {
      expect(set.evaluate(key, {})).toMatchObject({
        value: undefined,
        reason: 'ERROR',
        errorCode: 'FLAG_NOT_FOUND',
      });
    }
  });

  it('lets a broken flag harm no other', () => {
    expect(set.evaluate('broken', {})).toMatchObject({
      value: undefined,
      reason: 'ERROR',
      errorCode: 'PARSE_ERROR',
      errorMessage: expect.stringContaining('segments lead back to themselves: loop → loop'),
    });
    expect(set.invalid.map((error) => error.problems[0]?.path)).toEqual(['segments.loop.rules[0]']);
  });
});
