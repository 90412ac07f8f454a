import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalEvent, type ReceivedEvent } from '../../examples/canonical-events/canonical.ts';
import { EVENT_COUNTS, generateEvents } from '../../examples/canonical-events/load.ts';
import { canonicalEvents } from '../../examples/canonical-events/transforms.ts';

function received(integration_type: string, event_data: ReceivedEvent['event_data'], event_type?: string) {
  return canonicalEvent({
    id: 'e',
    integration_type,
    event_type,
    event_data,
    created_at: '2025-06-01T00:00:00Z',
  });
}

/** What arrives in a row has been JSON before. */
function throughJson(value: object): ReceivedEvent['event_data'] {
  return JSON.parse(JSON.stringify(value));
}

/** Template fields without their prefix, and without what is said of every event. */
function fields(integration_type: string, payload: ReceivedEvent['event_data']) {
  const { normalized } = received(integration_type, payload);
  return Object.fromEntries(
    Object.entries(normalized)
      .filter(([key]) => key.startsWith('template.'))
      .map(([key, value]) => [key.slice('template.'.length), value]),
  );
}

test('the published example of an event, to the letter', () => {
  const event = {
    id: 'event-1',
    integration_type: 'shopify',
    event_data: {
      line_items: [{ title: 'Product A', price: 99.99 }],
      customer: { first_name: 'John' },
    },
  };
  const before = structuredClone(event);

  const result = canonicalEvents.transform(
    { ...event, event_type: null, created_at: '2025-01-15T10:30:00Z' },
    undefined,
  );

  expect(event).toStrictEqual(before);
  expect(result.outcome).toBe('migrated');
  expect({ ...event, ...('values' in result ? result.values : {}) }).toStrictEqual({
    id: 'event-1',
    integration_type: 'shopify',
    event_data: {
      line_items: [{ title: 'Product A', price: 99.99 }],
      customer: { first_name: 'John' },
    },
    canonical_event: {
      event_id: 'event-1',
      provider: 'shopify',
      provider_event_type: 'order.created',
      timestamp: '2025-01-15T10:30:00Z',
      payload: {
        line_items: [{ title: 'Product A', price: 99.99 }],
        customer: { first_name: 'John' },
      },
      normalized: {
        'template.product_name': 'Product A',
        'template.customer_name': 'John',
        'template.price': 99.99,
        'meta.provider': 'shopify',
      },
    },
  });
});

describe('Shopify', () => {
  test('prices that arrive as text become numbers', () => {
    expect(fields('shopify', { line_items: [{ title: 'Mug', price: '18.50' }] })).toEqual({
      product_name: 'Mug',
      price: 18.5,
    });
  });

  test('an order without customer takes the name of the address', () => {
    expect(
      fields('shopify', {
        line_items: [{ title: 'Mug', quantity: 2 }, { title: 'Socks' }],
        customer: null,
        shipping_address: { first_name: 'Zoë', last_name: '', city: 'Zürich', country: 'Switzerland' },
      }),
    ).toEqual({
      product_name: 'Mug',
      quantity: 2,
      item_count: 2,
      customer_name: 'Zoë',
      location: 'Zürich, Switzerland',
    });
  });

  test('a refund shows the product that came back and what was paid out', () => {
    const payload = {
      order_id: 1,
      refund_line_items: [{ line_item: { title: 'Socks', price: '24.90' } }],
      transactions: [
        { kind: 'refund', amount: '0.10' },
        { kind: 'refund', amount: '0.20' },
        { kind: 'void', amount: '9.00' },
      ],
    };
    expect(received('shopify', payload).provider_event_type).toBe('refund.created');
    expect(fields('shopify', payload)).toEqual({ product_name: 'Socks', price: 24.9, refund_amount: 0.3 });
  });

  test.each([
    [{ line_items: [], cancelled_at: '2025-01-01T00:00:00Z' }, 'order.cancelled'],
    [{ line_items: [], cancelled_at: null }, 'order.created'],
    [{ order_id: 5, tracking_company: 'DHL', line_items: [] }, 'fulfillment.created'],
    [{ first_name: 'Anna', orders_count: 0 }, 'customer.created'],
    [{ line_items: 'none' }, 'unknown'],
    [{}, 'unknown'],
  ])('%j happened as %s', (payload, type) => {
    expect(received('shopify', payload).provider_event_type).toBe(type);
  });
});

describe('Stripe', () => {
  const charge = {
    object: 'charge',
    amount: 4999,
    amount_refunded: 0,
    currency: 'usd',
    status: 'succeeded',
    billing_details: { name: 'José Núñez', address: { city: null, country: 'BR' } },
  };

  test('amounts are given in whole units of their currency', () => {
    expect(fields('stripe', charge)).toMatchObject({ price: 49.99, currency: 'USD' });
    expect(fields('stripe', { ...charge, currency: 'jpy' })).toMatchObject({ price: 4999, currency: 'JPY' });
    expect(fields('stripe', { ...charge, currency: 'kwd' })).toMatchObject({ price: 4.999, currency: 'KWD' });
  });

  test('an amount without its currency is not shown', () => {
    expect(fields('stripe', { ...charge, currency: null })).not.toHaveProperty('price');
  });

  test('an event and the bare object in it have the same fields', () => {
    const envelope = {
      object: 'event',
      type: 'charge.succeeded',
      created: 1_736_937_000,
      data: { object: charge },
    };
    expect(fields('stripe', envelope)).toEqual(fields('stripe', charge));
    expect(received('stripe', envelope)).toMatchObject({
      provider_event_type: 'charge.succeeded',
      normalized: { 'meta.timestamp': '2025-01-15T10:30:00Z' },
    });
  });

  test.each([
    [{ object: 'charge', status: 'succeeded', refunded: true }, 'charge.refunded'],
    [{ object: 'charge', status: 'failed' }, 'charge.failed'],
    [{ object: 'charge', status: 'pending' }, 'unknown'],
    [{ object: 'invoice', paid: true }, 'invoice.paid'],
    [{ object: 'checkout.session', status: 'expired' }, 'unknown'],
    [{ object: 'payment_intent', status: 'succeeded' }, 'payment_intent.succeeded'],
  ])('%j happened as %s', (payload, type) => {
    expect(received('stripe', payload).provider_event_type).toBe(type);
  });
});

describe("the system's own sources", () => {
  test('both versions of the testimonial form read the same', () => {
    const first = { name: 'Łukasz', text: 'Danke 🙏', stars: '5' };
    const second = { author: { name: 'Łukasz' }, content: 'Danke 🙏', rating: 5, status: 'pending' };
    expect(fields('testimonials', first)).toEqual(fields('testimonials', second));
    expect(received('testimonials', first).provider_event_type).toBe('testimonial.submitted');
    expect(received('testimonials', { ...second, status: 'approved' }).provider_event_type).toBe(
      'testimonial.approved',
    );
  });

  test('an announcement shows its text and where it leads', () => {
    const payload = { title: 'Winter sale ❄', body: '20 % off', cta: { label: 'Shop', url: '/sale' } };
    expect(fields('announcements', payload)).toEqual({
      title: 'Winter sale ❄',
      message: '20 % off',
      action_label: 'Shop',
      url: '/sale',
    });
    expect(received('announcements', payload).provider_event_type).toBe('announcement.published');
  });

  test('a captured form shows who sent it, and never how to reach them', () => {
    const payload = {
      form_name: 'Contact',
      fields: { 'your-name': '美咲', email: 'm@mail.example', phone: '1' },
    };
    expect(fields('instant_capture', payload)).toEqual({ customer_name: '美咲', form_name: 'Contact' });
    expect(received('instant_capture', payload).provider_event_type).toBe('form.submitted');
  });

  test('nobody on the page is a count too', () => {
    expect(fields('live_visitors', { active_visitors: 0, page: { url: '/' } })).toEqual({
      visitor_count: 0,
      page_url: '/',
    });
    expect(received('live_visitors', { count: 3 }).provider_event_type).toBe('visitors.counted');
    expect(received('live_visitors', { count: 'many' }).provider_event_type).toBe('unknown');
  });
});

describe('providers without a file of their own', () => {
  test('plain values down to the second level become fields under their path', () => {
    expect(
      fields('weather_station', {
        tempC: -3.5,
        'Wind Speed': 12,
        sky: { clear: true, layers: { low: 1 } },
        readings: [1, 2],
        '': 'no name',
        nothing: null,
      }),
    ).toEqual({ temp_c: -3.5, wind_speed: 12, sky_clear: true });
  });

  test('what looks private stays in the payload', () => {
    expect(
      fields('woocommerce', {
        billing: { email: 'a@b.example', phone: '1', first_name: 'Anna' },
        user_ip: '::1',
        zip: '8000',
      }),
    ).toEqual({ billing_first_name: 'Anna', zip: '8000' });
  });

  test('the payload may name what happened', () => {
    expect(received('calendly', { event: 'invitee.created' }).provider_event_type).toBe('invitee.created');
    expect(received('weather_station', { tempC: 1 }).provider_event_type).toBe('unknown');
  });
});

describe('every event', () => {
  test('the type that the provider gave wins over what the payload shows', () => {
    expect(received('shopify', { line_items: [] }, 'orders/create').provider_event_type).toBe(
      'orders/create',
    );
    expect(received('shopify', { line_items: [] }, '  ').provider_event_type).toBe('order.created');
  });

  test('meta.timestamp is there only if the payload says when, with its zone', () => {
    const happened = (created_at: unknown) =>
      received('shopify', { line_items: [], created_at }).normalized['meta.timestamp'];
    expect(happened('2025-01-15T05:30:00-05:00')).toBe('2025-01-15T10:30:00Z');
    expect(happened('2025-01-15T10:30:00.250Z')).toBe('2025-01-15T10:30:00.250Z');
    expect(happened('2025-01-15T10:30:00')).toBeUndefined();
    expect(happened('2025-13-45T10:30:00Z')).toBeUndefined();
    expect(happened('yesterday')).toBeUndefined();
    expect(happened(undefined)).toBeUndefined();
  });

  test('created_at is read as the database writes it, too', () => {
    const at = (created_at: string) =>
      canonicalEvent({ id: 'e', integration_type: 'x', event_data: {}, created_at }).timestamp;
    expect(at('2025-01-15 10:30:00+00')).toBe('2025-01-15T10:30:00Z');
    expect(at('2025-01-15 16:00:00.5+05:30')).toBe('2025-01-15T10:30:00.500Z');
    expect(() => at('infinity')).toThrow('created_at "infinity" is no point in time');
  });

  test('whatever the payload: it is kept as it came, and the normalised keys are flat', () => {
    const names = [...Object.keys(EVENT_COUNTS), 'WooCommerce'];
    const keys = [
      ...['line_items', 'customer', 'refund_line_items', 'transactions', 'data', 'object', 'billing_details'],
      ...[
        'amount',
        'currency',
        'author',
        'cta',
        'fields',
        'geo',
        'page',
        'count',
        'created_at',
        'created',
        'type',
      ],
    ];
    const payload = fc
      .dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), fc.jsonValue())
      .map(throughJson);
    fc.assert(
      fc.property(fc.constantFrom(...names), payload, (name, delivered) => {
        const before = structuredClone(delivered);
        const event = received(name, delivered);
        expect(event.payload).toStrictEqual(before);
        expect(event.normalized['meta.provider']).toBe(name.toLowerCase());
        for (const [key, value] of Object.entries(event.normalized)) {
          expect(key).toMatch(/^(template|meta)\.[a-z0-9_]+$/);
          expect(['string', 'number', 'boolean']).toContain(typeof value);
        }
        expect(received(name, structuredClone(delivered))).toStrictEqual(event);
      }),
      { numRuns: 500 },
    );
  });

  test('each generated event of a known provider says what happened and shows something', () => {
    for (const event of generateEvents(new Date('2025-11-20T00:00:00Z'))) {
      const { provider_event_type, normalized } = canonicalEvent(event);
      expect(Object.keys(normalized).some((key) => key.startsWith('template.'))).toBe(true);
      if (event.integration_type in EVENT_COUNTS) expect(provider_event_type).not.toBe('unknown');
    }
  });
});
