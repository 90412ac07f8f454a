import { type Logger, StandardResolutionReasons } from '@openfeature/core';
import { FlagdCore } from '@openfeature/flagd-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FlagDefinition, Segment } from '../../../src/domain/flags/definition.ts';
import { rolloutWeights } from '../../../src/domain/flags/weights.ts';
import type { EvaluationContext } from '../../../src/flags/evaluation/evaluation.ts';
import { compileFlags } from '../../../src/flags/evaluation/flag-set.ts';
import { toFlagd } from '../../../src/flags/evaluation/flagd.ts';
import { arbitraryContext, arbitraryFlag, arbitrarySegments } from './arbitraries.ts';
import { flagOf, rolloutOf } from './support.ts';

/** flagd's evaluator with our flags in it; `said` is what it complained of. */
function flagdWith(flags: readonly FlagDefinition[], segments: readonly Segment[] = []) {
  const said: string[] = [];
  const complain = (...words: unknown[]) => void said.push(words.map(String).join(' '));
  const logger: Logger = { error: complain, warn: complain, info: () => {}, debug: () => {} };
  const core = new FlagdCore(undefined, logger);
  core.setConfigurations(JSON.stringify(toFlagd(flags, { segments })));
  return {
    said,
    resolve: (key: string, context: EvaluationContext) =>
      core.resolveStringEvaluation(key, 'code default', context as Record<string, string>, logger),
  };
}

/** Our reasons as flagd calls them. */
const flagdReason = (reason: string) =>
  reason === 'SPLIT' ? StandardResolutionReasons.TARGETING_MATCH : reason;

const named = (flag: FlagDefinition): FlagDefinition => ({
  ...flag,
  variants: Object.fromEntries(Object.keys(flag.variants).map((name) => [name, `value of ${name}`])),
});

describe('flagd', () => {
  it('evaluates whatever we export as we do', () => {
    const flags = fc.uniqueArray(arbitraryFlag, { minLength: 1, maxLength: 4, selector: (flag) => flag.key });
    fc.assert(
      fc.property(
        flags,
        arbitrarySegments,
        fc.array(arbitraryContext, { minLength: 5, maxLength: 20 }),
        (definitions, segments, contexts) => {
          const ours = compileFlags(definitions, segments);
          const flagd = flagdWith(definitions, segments);
          expect(ours.invalid).toEqual([]);
          for (const context of contexts) {
            for (const key of ours.keys) {
              const { value, variant, reason } = ours.evaluate(key, context);
              const theirs = flagd.resolve(key, context);
              expect({ value: theirs.value, variant: theirs.variant, reason: theirs.reason }).toEqual({
                value: value ?? 'code default',
                variant,
                reason: flagdReason(reason),
              });
            }
          }
          expect(flagd.said).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('takes an object for an error where we take it for no number', () => {
    const when = { attribute: 'age', op: '>', value: 5 } as const;
    const flag = named(flagOf({ rules: [{ when: { not: when }, serve: { variant: 'on' } }] }));
    const context = { age: { years: 7 } };
    expect(compileFlags([flag]).evaluate(flag.key, context)).toMatchObject({ variant: 'on' });
    expect(flagdWith([flag]).resolve(flag.key, context)).toMatchObject({
      value: 'code default',
      reason: StandardResolutionReasons.ERROR,
    });
  });

  it('buckets users as we do, to 0.001 %', () => {
    const flag = named(rolloutOf(33.333));
    const ours = compileFlags([flag]);
    const flagd = flagdWith([flag]);
    const key = fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 64 });
    fc.assert(
      fc.property(key, (targetingKey) => {
        const variant = flagd.resolve(flag.key, { targetingKey }).variant;
        expect(variant).toBe(ours.evaluate(flag.key, { targetingKey }).variant);
      }),
      { numRuns: 5_000 },
    );
  });

  it('of npm takes UTF-16 code units for bytes: it disagrees on other keys, but not on the bytes of their UTF-8', () => {
    const flag = named(rolloutOf(50));
    const ours = compileFlags([flag]);
    const flagd = flagdWith([flag]);
    const variantsOf = (targetingKey: string) => {
      const bytes = Buffer.from(targetingKey, 'utf8').toString('latin1');
      return {
        ours: ours.evaluate(flag.key, { targetingKey }).variant,
        npm: flagd.resolve(flag.key, { targetingKey }).variant,
        npmOnBytes: flagd.resolve(flag.key, { targetingKey: bytes }).variant,
      };
    };
    const users = Array.from({ length: 200 }, (_, i) => variantsOf(`usuário-${i}`));
    expect(users.map(({ npmOnBytes }) => npmOnBytes)).toEqual(users.map((user) => user.ours));
    const disagreeing = users.filter((user) => user.ours !== user.npm);
    // Two independent halves agree on about every second user.
    expect(disagreeing.length).toBeGreaterThan(60);
    expect(disagreeing.length).toBeLessThan(140);
  });
});

describe('the exported format', () => {
  const segments: Segment[] = [
    { key: 'staff', rules: [{ attribute: 'email', op: 'endsWith', values: ['@example.com'] }] },
  ];

  it('is flagd’s', () => {
    const flag = flagOf({
      rules: [{ name: 'staff first', when: { segment: 'staff' }, serve: { variant: 'on' } }],
      split: { weights: rolloutWeights('on', 'off', 0.5) },
      metadata: { team: 'checkout' },
      owner: 'ana',
      runId: 'run-1',
    });
    const id = { var: 'targetingKey' };
    const isText = { '!!': [{ starts_with: [id, ''] }] };
    expect(toFlagd([flag], { segments, metadata: { flagSetId: 'production', version: '7' } })).toEqual({
      flags: {
        'new-checkout': {
          state: 'ENABLED',
          variants: { on: true, off: false },
          defaultVariant: 'off',
          targeting: {
            if: [
              { '!!': [{ ends_with: [{ var: 'email' }, '@example.com'] }] },
              'on',
              {
                if: [
                  { and: [isText, { '!==': [id, ''] }] },
                  { fractional: [{ cat: ['c0ffee:', id] }, ['on', 500], ['off', 99_500]] },
                  null,
                ],
              },
            ],
          },
          metadata: { team: 'checkout' },
        },
      },
      metadata: { flagSetId: 'production', version: '7' },
    });
  });

  it('has no targeting where there is none', () => {
    expect(toFlagd([flagOf({ state: 'disabled' })]).flags['new-checkout']).toEqual({
      state: 'DISABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
    });
  });

  it('is not made of flags that are not valid', () => {
    expect(() => toFlagd([flagOf({ defaultVariant: 'none' })])).toThrow(/there is no variant "none"/);
  });
});
