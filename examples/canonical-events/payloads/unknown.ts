import { between, pick } from '../../shared/random.ts';
import type { Deliver } from './delivery.ts';
import { person, place } from './people.ts';

/** Providers that nobody has written a normalisation for. */
export const UNKNOWN_PROVIDERS = ['woocommerce', 'calendly', 'typeform', 'weather_station'] as const;

export const unknown: Record<(typeof UNKNOWN_PROVIDERS)[number], Deliver> = {
  woocommerce: (random, at) => ({
    event_type: 'order.updated',
    event_data: {
      id: between(random, 700, 9_000),
      status: pick(random, ['processing', 'completed', 'refunded']),
      currency: 'EUR',
      total: (between(random, 500, 30_000) / 100).toFixed(2),
      date_created_gmt: at.toISOString().slice(0, 19),
      billing: { ...person(random), phone: '+41 44 000 00 00' },
      line_items: [{ name: 'Tasse', quantity: 2, total: '19.80' }],
      meta_data: [],
    },
  }),

  calendly: (random, at) => ({
    event_type: null,
    event_data: {
      event: 'invitee.created',
      created_at: at.toISOString(),
      payload: {
        name: person(random).first_name,
        timezone: 'Europe/Zurich',
        scheduled_event: { name: '30 min demo' },
      },
    },
  }),

  typeform: (random, at) => ({
    event_type: null,
    event_data: {
      event_type: 'form_response',
      form_response: {
        form_id: 'lT4Z3j',
        submitted_at: at.toISOString(),
        calculated: { score: between(random, 0, 10) },
      },
    },
  }),

  // Nothing says what happened, or when.
  weather_station: (random) => ({
    event_type: null,
    event_data: {
      tempC: between(random, -100, 350) / 10,
      City: place(random).city,
      '': 'no name',
      readings: [1, null, 2.5],
    },
  }),
};
