/** A JSON object as it was delivered. */
export type Payload = Record<string, unknown>;

/** What a template can show. */
export type Scalar = string | number | boolean;

/** How one provider's payloads are understood. Every function takes whatever was delivered and never throws. */
export type Provider = {
  /** As `integration_type` spells it. */
  name: string;
  /** The provider's name for what happened, where the payload shows it. */
  eventType(payload: Payload): string | undefined;
  /** Template fields by their names without `template.`; undefined ones are left out. */
  fields(payload: Payload): Record<string, Scalar | undefined>;
  /** When it happened, where the payload itself says so: ISO 8601 text, or seconds since 1970. */
  time(payload: Payload): unknown;
};
