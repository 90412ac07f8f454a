import { DEFAULT_BUCKETED_BY, type FlagDefinition, type Split } from '../../domain/flags/definition.ts';
import { TOTAL_WEIGHT } from '../../domain/flags/weights.ts';
import { type AttributeReader, attributeReader } from './attribute.ts';
import type { Evaluation, FlagEvaluator } from './evaluation.ts';
import { hashPrefix, murmur3After } from './murmur3.ts';

const HASHES = 2 ** 32;

/** What is hashed to a bucket is this and the key. */
export function bucketPrefix(flag: Pick<FlagDefinition, 'salt'>, split: Split): string {
  return `${split.salt ?? flag.salt}:`;
}

/**
 * Distributes as flagd's `fractional` does since 0.15: with `h = murmur3(salt + ":" + key)`, the bucket is
 * `(h · 100000) >> 32`, and the first variant whose cumulative weight lies above the bucket wins.
 * https://flagd.dev/reference/custom-operations/fractional-operation/
 *
 * Keys that are not ASCII are hashed by their UTF-8, as flagd's server does. npm `@openfeature/flagd-core` hashes UTF-16 code
 * units as if they were bytes, so it puts such a user into another bucket. Where both have to agree, bucket by an attribute
 * that is ASCII. Keys should not end in white space either, which the `cat` of flagd's server cuts off.
 *
 * @param serve the evaluation for each variant with weight.
 * @param without the evaluation for contexts that have no key.
 */
export function compileSplit(
  flag: FlagDefinition,
  split: Split,
  { serve, without }: { serve: (variant: string) => Evaluation; without: Evaluation },
): FlagEvaluator {
  const readKey = keyReader(split.by ?? DEFAULT_BUCKETED_BY);
  const prefix = hashPrefix(bucketPrefix(flag, split));
  const arms = armsOf(split).map(({ below, variant }) => ({ below, evaluation: serve(variant) }));
  return (context) => {
    const key = readKey(context);
    if (typeof key !== 'string' || key === '') return without;
    const hash = murmur3After(prefix, key);
    for (const arm of arms) if (hash < arm.below) return arm.evaluation;
    return without;
  };
}

/**
 * The hash that each variant ends below. For whole numbers, `(h · W) >> 32 < c` holds exactly when `h < c · 2³² / W`, and
 * rounding the right side up changes nothing; so no bucket needs computing. The product is below 2⁵³.
 */
function armsOf(split: Split): { below: number; variant: string }[] {
  let cumulative = 0;
  return split.weights
    .filter(({ weight }) => weight > 0)
    .map(({ variant, weight }) => {
      cumulative += weight;
      return { below: Math.ceil((cumulative * HASHES) / TOTAL_WEIGHT), variant };
    });
}

/** Numbers become their digits, but for `targetingKey`, which is a text. */
function keyReader(attribute: string): AttributeReader {
  const read = attributeReader(attribute);
  if (attribute === DEFAULT_BUCKETED_BY) return read;
  return (context) => {
    const key = read(context);
    return typeof key === 'number' && Number.isFinite(key) ? String(key) : key;
  };
}
