import type { Condition } from './condition.ts';

export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** One flag in one environment: everything that decides who gets which value. */
export type FlagDefinition = {
  key: string;
  /** A disabled flag has no value: the application uses its own default. */
  state: 'enabled' | 'disabled';
  /** Values by the variant's name; all of one JSON type. */
  variants: Readonly<Record<string, JsonValue>>;
  /** Served when no rule matches and there is no split, and to whoever has no key to be bucketed by. */
  defaultVariant: string;
  /**
   * What buckets are drawn by, together with the user's key. It is given once, when the flag is made, and stays when the flag
   * or a variant is renamed; so does everybody's bucket. Printable ASCII, no spaces.
   */
  salt: string;
  /** The first rule that matches decides. */
  rules: readonly Rule[];
  /** For all whom no rule matches. */
  split?: Split | undefined;
  /** Handed to the client with every evaluation. */
  metadata?: FlagMetadata | undefined;
  /** Who answers for the flag. Not handed to clients. */
  owner?: string | undefined;
  /** The run that drives this flag. Not handed to clients. */
  runId?: string | undefined;
};

export type FlagMetadata = Readonly<Record<string, string | number | boolean>>;

export type Rule = {
  name?: string | undefined;
  when: Condition;
  serve: Serve;
};

export type Serve = { variant: string } | { split: Split };

/** Distributes by bucket: a hash of salt and key, from 0 to 99,999. */
export type Split = {
  /**
   * The attribute that buckets are drawn by: `targetingKey` unless given. It is a text that is not empty or, except for
   * `targetingKey`, a number, which counts as its digits. Who has none gets the default variant.
   */
  by?: string | undefined;
  /** Instead of the flag's own salt, so that several flags can share their cohorts. */
  salt?: string | undefined;
  /** In the order of the buckets, 100,000 in all. A variant may have several places. */
  weights: readonly WeightedVariant[];
};

export type WeightedVariant = {
  variant: string;
  /** Buckets out of 100,000; one is 0.001 %. */
  weight: number;
};

/** A named group of users: whoever meets any of its rules. */
export type Segment = {
  key: string;
  rules: readonly Condition[];
};

export const DEFAULT_BUCKETED_BY = 'targetingKey';
