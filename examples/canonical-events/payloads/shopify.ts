import { between, chance, pick, type Random } from '../../shared/random.ts';
import type { Payload } from '../providers/provider.ts';
import type { Deliver } from './delivery.ts';
import { person, place, withOffset } from './people.ts';

const PRODUCTS: readonly (readonly [string, string])[] = [
  ['Product A', '99.99'],
  ['Merino Beanie – "Nordlicht"', '34.00'],
  ['Café Crème mug, 350 ml', '18.50'],
  ['Wool socks (3-pack)', '24.90'],
  ['手ぬぐい', '12.00'],
  ['Gift card', '0.00'],
  ['Field jacket <limited>', '249.00'],
];

export const shopify: Deliver = (random, at) => {
  const dice = random();
  if (dice < 0.06) return { event_type: stated(random, 'refund.created'), event_data: refund(random, at) };
  if (dice < 0.1) return { event_type: 'customer.created', event_data: customer(random, at) };
  if (dice < 0.14) return { event_type: null, event_data: fulfillment(random, at) };
  // What the first version of the webhook kept: the order's lines and the customer's first name.
  if (dice < 0.24) return { event_type: null, event_data: brief(random) };
  return { event_type: stated(random, 'order.created'), event_data: order(random, at) };
};

/** Older rows have no type of their own. */
function stated(random: Random, type: string): string | null {
  return chance(random, 0.6) ? type : null;
}

function brief(random: Random): Payload {
  const [title, price] = pick(random, PRODUCTS);
  const { first_name } = person(random);
  return { line_items: [{ title, price: Number(price) }], customer: first_name ? { first_name } : null };
}

function line(random: Random): Payload {
  const [title, price] = pick(random, PRODUCTS);
  return {
    id: between(random, 10_000_000_000, 16_000_000_000),
    product_id: chance(random, 0.05) ? null : between(random, 7_000_000_000, 9_000_000_000),
    title,
    variant_title: chance(random, 0.3) ? pick(random, ['S', 'M', 'L / Bordeaux', 'XL / 墨']) : null,
    quantity: between(random, 1, 4),
    price,
    sku: chance(random, 0.8) ? `SKU-${between(random, 100, 999)}` : '',
    taxable: true,
    properties: [],
  };
}

function order(random: Random, at: Date): Payload {
  const number = between(random, 1001, 9999);
  const lines = Array.from({ length: between(random, 1, 4) }, () => line(random));
  const total = lines.reduce((sum, { price, quantity }) => sum + Number(price) * Number(quantity), 0);
  const buyer = person(random);
  const home = place(random);
  const time = withOffset(at, -5);
  return {
    id: between(random, 5_000_000_000_000, 6_000_000_000_000),
    admin_graphql_api_id: `gid://shopify/Order/${number}`,
    name: `#${number}`,
    order_number: number,
    created_at: time,
    processed_at: time,
    cancelled_at: chance(random, 0.03) ? withOffset(new Date(at.getTime() + 3_600_000), -5) : null,
    currency: pick(random, ['USD', 'EUR', 'CHF']),
    total_price: total.toFixed(2),
    financial_status: pick(random, ['paid', 'paid', 'paid', 'partially_refunded', 'pending']),
    test: chance(random, 0.02),
    line_items: lines,
    // Orders at a point of sale have neither customer nor address.
    customer: chance(random, 0.07)
      ? null
      : { id: between(random, 6_000_000_000, 7_000_000_000), ...buyer, tags: '' },
    shipping_address: chance(random, 0.12)
      ? null
      : {
          first_name: buyer.first_name,
          last_name: buyer.last_name,
          ...home,
          zip: String(between(random, 1000, 99_999)),
        },
    note: chance(random, 0.1) ? 'Please ring twice\nand leave it at the door 🚪' : null,
    note_attributes: [],
  };
}

function refund(random: Random, at: Date): Payload {
  const item = line(random);
  return {
    id: between(random, 800_000_000_000, 900_000_000_000),
    order_id: between(random, 5_000_000_000_000, 6_000_000_000_000),
    created_at: withOffset(at, -5),
    note: chance(random, 0.5) ? 'Wrong size' : '',
    refund_line_items: [{ quantity: 1, line_item: item, subtotal: Number(item.price) }],
    transactions: [{ kind: 'refund', status: 'success', amount: item.price, currency: 'USD' }],
  };
}

function customer(random: Random, at: Date): Payload {
  return {
    id: between(random, 6_000_000_000, 7_000_000_000),
    ...person(random),
    created_at: withOffset(at, -5),
    orders_count: 0,
    total_spent: '0.00',
    verified_email: chance(random, 0.9),
    default_address: chance(random, 0.4) ? place(random) : null,
  };
}

function fulfillment(random: Random, at: Date): Payload {
  return {
    id: between(random, 4_000_000_000_000, 5_000_000_000_000),
    order_id: between(random, 5_000_000_000_000, 6_000_000_000_000),
    name: `#${between(random, 1001, 9999)}.1`,
    created_at: withOffset(at, -5),
    tracking_company: pick(random, ['DHL', 'Die Post', 'UPS']),
    tracking_numbers: [`1Z${between(random, 100_000_000, 999_999_999)}`],
    line_items: [line(random)],
  };
}
