import type { Payload, Provider, Scalar } from './provider.ts';
import { first, isObject, text } from './read.ts';

/**
 * Any provider that has no file of its own: every plain value down to the second level becomes a field under its path.
 * Values that look private by their name stay in the payload only, because a widget is public.
 */
export const generic: Omit<Provider, 'name'> = {
  eventType(payload) {
    return first(text(payload.event_type), text(payload.event), text(payload.type), text(payload.topic));
  },

  fields(payload) {
    const fields: Record<string, Scalar> = {};
    collect(fields, payload, '', 2);
    return fields;
  },

  time: (payload) => payload.created_at ?? payload.timestamp ?? payload.occurred_at,
};

const PRIVATE = /e_?mail|phone|mobile|address|password|secret|token|signature|(^|_)ip(_|$)/;

function collect(fields: Record<string, Scalar>, value: Payload, prefix: string, levels: number): void {
  for (const [key, inner] of Object.entries(value)) {
    const name = fieldName(prefix ? `${prefix}_${key}` : key);
    if (!name || PRIVATE.test(name)) continue;
    if (isObject(inner)) {
      if (levels > 1) collect(fields, inner, name, levels - 1);
    } else if (isScalar(inner) && !Object.hasOwn(fields, name)) {
      fields[name] = inner;
    }
  }
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

/** `orderTotal` and `Order Total` both become `order_total`; what has no letter or digit has no name. */
function fieldName(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '');
}
