import {
  DEFAULT_BUCKETED_BY,
  type FlagDefinition,
  type FlagMetadata,
  type JsonValue,
  type Segment,
  type Serve,
  type Split,
} from '../../domain/flags/definition.ts';
import { InvalidFlagError } from '../../domain/flags/problem.ts';
import type { Segments } from '../../domain/flags/validate-condition.ts';
import { validateFlag } from '../../domain/flags/validate-flag.ts';
import { bucketPrefix } from './compile-split.ts';
import { conditionToFlagd, isBucketKey, type JsonLogic, read } from './flagd-condition.ts';

/** https://flagd.dev/reference/schema/ */
export type FlagdDefinitions = {
  flags: Record<string, FlagdFlag>;
  metadata?: FlagMetadata;
};

export type FlagdFlag = {
  state: 'ENABLED' | 'DISABLED';
  variants: Readonly<Record<string, JsonValue>>;
  defaultVariant: string;
  targeting?: JsonLogic;
  metadata?: FlagMetadata;
};

/**
 * The flags as flagd and its providers read them, with the same variant for every context that JSON can carry; only
 * reasons are coarser, since flagd calls a split TARGETING_MATCH. On keys that are not ASCII, see `compileSplit`.
 * Segments are written out where they are used: some providers substitute references into `$evaluators` as text, which
 * breaks on nested ones.
 *
 * One difference is left: an object where a number or a key to be bucketed by is expected is no match to us, and an error
 * to flagd, so that the application's default counts.
 * @param metadata of the whole set, such as `flagSetId` and `version`.
 * @throws InvalidFlagError for the first flag that is not valid.
 */
export function toFlagd(
  flags: readonly FlagDefinition[],
  { segments = [], metadata }: { segments?: readonly Segment[]; metadata?: FlagMetadata } = {},
): FlagdDefinitions {
  const byKey: Segments = new Map(segments.map((segment) => [segment.key, segment]));
  return {
    flags: Object.fromEntries(flags.map((flag) => [flag.key, flagToFlagd(flag, byKey)])),
    ...(metadata && { metadata }),
  };
}

function flagToFlagd(flag: FlagDefinition, segments: Segments): FlagdFlag {
  const problems = validateFlag(flag, segments);
  if (problems.length > 0) throw new InvalidFlagError(flag.key, problems);
  const targeting = targetingOf(flag, segments);
  return {
    state: flag.state === 'enabled' ? 'ENABLED' : 'DISABLED',
    variants: flag.variants,
    defaultVariant: flag.defaultVariant,
    ...(targeting !== null && { targeting }),
    ...(flag.metadata && { metadata: flag.metadata }),
  };
}

/** The rules from the last to the first, each around those after it; null stands for the default variant. */
function targetingOf(flag: FlagDefinition, segments: Segments): JsonLogic {
  return flag.rules.reduceRight<JsonLogic>(
    (otherwise, rule) => ({
      if: [conditionToFlagd(rule.when, segments), serveToFlagd(flag, rule.serve), otherwise],
    }),
    flag.split ? splitToFlagd(flag, flag.split) : null,
  );
}

function serveToFlagd(flag: FlagDefinition, serve: Serve): JsonLogic {
  return 'split' in serve ? splitToFlagd(flag, serve.split) : serve.variant;
}

function splitToFlagd(flag: FlagDefinition, split: Split): JsonLogic {
  const by = split.by ?? DEFAULT_BUCKETED_BY;
  const [only, ...others] = split.weights;
  // Older providers refuse a distribution over one variant.
  const distribution =
    only && others.length === 0
      ? only.variant
      : {
          fractional: [
            { cat: [bucketPrefix(flag, split), read(by)] },
            ...split.weights.map(({ variant, weight }) => [variant, weight]),
          ],
        };
  return { if: [isBucketKey(by), distribution, null] };
}
