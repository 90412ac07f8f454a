/**
 * What has to hold of the evaluation context. There is no coercion: an attribute that is absent, or not of the type that
 * the operator is about, meets no condition. `not` is plain negation, so a user without a country is not in Norway.
 */
export type Condition =
  | { all: readonly Condition[] }
  | { any: readonly Condition[] }
  | { not: Condition }
  /** Membership of a segment. */
  | { segment: string }
  | AttributeCondition;

/** `attribute` is a name, or a path such as `user.plan`. */
export type AttributeCondition = { attribute: string } & (
  | { op: 'exists' }
  | { op: 'equals'; value: Scalar }
  | { op: 'in'; values: readonly Scalar[] }
  /** Any of the values. Of a list, `contains` asks for an element; of a text, for a part of it. */
  | { op: 'startsWith' | 'endsWith' | 'contains'; values: readonly string[] }
  | { op: NumberOperator; value: number }
  | { op: 'semver'; comparison: SemverComparison; version: string }
);

export type Scalar = string | number | boolean;

export type NumberOperator = '<' | '<=' | '>' | '>=';

/**
 * Precedence by Semantic Versioning 2.0.0, section 11. As in flagd, `^` means the same major version and `~` the same major and
 * minor version, whichever is the later one.
 */
export type SemverComparison = '=' | '!=' | '<' | '<=' | '>' | '>=' | '^' | '~';

export const SEMVER_COMPARISONS: readonly SemverComparison[] = ['=', '!=', '<', '<=', '>', '>=', '^', '~'];
