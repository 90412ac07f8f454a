import type { FlagMetadata, JsonValue } from '../../domain/flags/definition.ts';

/** What is known of whom the flag is evaluated for. `targetingKey` is who it is; OpenFeature's evaluation context. */
export type EvaluationContext = {
  readonly targetingKey?: string | undefined;
  readonly [attribute: string]: unknown;
};

/**
 * What a flag is for a context; OpenFeature's resolution details. It is frozen, and shared by all who get the same.
 * Without a value, the application's own default counts.
 */
export type Evaluation = {
  readonly value: JsonValue | undefined;
  readonly variant: string | undefined;
  readonly reason: Reason;
  readonly flagMetadata: FlagMetadata;
  readonly errorCode: ErrorCode | undefined;
  readonly errorMessage: string | undefined;
};

/**
 * STATIC: one variant for all, whatever the context. TARGETING_MATCH: by a rule. SPLIT: by bucket, under a rule or not.
 * DEFAULT: no rule matched, or the context lacks the key to be bucketed by. DISABLED and ERROR come without a value.
 */
export type Reason = 'STATIC' | 'TARGETING_MATCH' | 'SPLIT' | 'DEFAULT' | 'DISABLED' | 'ERROR';

/** Of OpenFeature's codes, those that evaluation itself can meet. */
export type ErrorCode = 'FLAG_NOT_FOUND' | 'PARSE_ERROR';

export type FlagEvaluator = (context: EvaluationContext) => Evaluation;

const NO_METADATA: FlagMetadata = Object.freeze({});

/** Every evaluation is made here, so that all have the same shape. */
export function evaluation(reason: Reason, details: Partial<Omit<Evaluation, 'reason'>> = {}): Evaluation {
  return Object.freeze({
    value: details.value,
    variant: details.variant,
    reason,
    flagMetadata: details.flagMetadata ?? NO_METADATA,
    errorCode: details.errorCode,
    errorMessage: details.errorMessage,
  });
}
