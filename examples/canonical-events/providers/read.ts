import type { Payload } from './provider.ts';

/*
 * Reading from payloads that come from outside: what is missing or of another type is undefined.
 */

export function isObject(value: unknown): value is Payload {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object under the value, or an empty one, so that reads can be chained. */
export function object(value: unknown): Payload {
  return isObject(value) ? value : {};
}

export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Text that shows something. */
export function text(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return value.trim() || undefined;
}

/** A number, also where it is delivered as text: Shopify sends prices as "99.99". */
export function number(value: unknown): number | undefined {
  const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : undefined;
}

/** The parts that are there, joined; undefined when none is. */
export function joined(separator: string, ...parts: unknown[]): string | undefined {
  return parts.map(text).filter(Boolean).join(separator) || undefined;
}

/** The first that is there: providers send null as readily as they leave a field out. */
export function first<T>(...values: (T | null | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined && value !== null) ?? undefined;
}
