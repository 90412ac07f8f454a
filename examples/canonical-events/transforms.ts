import { ambiguous, defineTransform, failed, migrated } from '../../src/engine/transform/transform.ts';
import { canonicalEvent } from './canonical.ts';
import type { Payload } from './providers/provider.ts';
import { isObject } from './providers/read.ts';

/** `canonical_event` from what was delivered. */
export const canonicalEvents = defineTransform({
  name: 'canonical-event',
  version: 1,
  reads: ['id', 'integration_type', 'event_type', 'event_data', 'created_at'],
  writes: ['canonical_event'],

  transform: (row) => {
    const canonical = (event_data: Payload) =>
      canonicalEvent({
        id: String(row.id),
        integration_type: String(row.integration_type),
        event_type: typeof row.event_type === 'string' ? row.event_type : undefined,
        event_data,
        created_at: String(row.created_at),
      });
    const delivered = row.event_data;
    if (isObject(delivered)) return migrated({ canonical_event: canonical(delivered) });
    const inner = typeof delivered === 'string' ? objectInText(delivered) : undefined;
    return inner
      ? ambiguous('event_data is a JSON document stored as text inside JSON', canonical(inner))
      : failed(`event_data is ${nameOf(delivered)}, not an object`);
  },
});

export const transforms = [canonicalEvents];

/** The object that a text spells out, as happens when a payload was encoded twice. */
function objectInText(text: string): Payload | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
