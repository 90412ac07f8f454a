import { between, chance, pick, type Random } from '../../shared/random.ts';
import type { Payload } from '../providers/provider.ts';
import type { Deliver } from './delivery.ts';
import { person, place } from './people.ts';

export const stripe: Deliver = (random, at) => {
  const created = Math.floor(at.getTime() / 1000);
  const { type, object } = happening(random, created);
  // Rows from before the envelope was kept hold the bare object.
  if (chance(random, 0.15) && object.object !== 'subscription')
    return { event_type: null, event_data: object };
  return {
    event_type: chance(random, 0.8) ? type : null,
    event_data: {
      id: id(random, 'evt'),
      object: 'event',
      api_version: '2024-06-20',
      created,
      livemode: chance(random, 0.97),
      pending_webhooks: between(random, 0, 2),
      request: chance(random, 0.5) ? { id: null, idempotency_key: null } : { id: id(random, 'req') },
      type,
      data: { object },
    },
  };
};

function happening(random: Random, created: number): { type: string; object: Payload } {
  const dice = random();
  if (dice < 0.45) return charge(random, created);
  if (dice < 0.65) return { type: 'invoice.paid', object: invoice(random, created) };
  if (dice < 0.85) return { type: 'checkout.session.completed', object: session(random, created) };
  return { type: 'customer.subscription.created', object: subscription(random, created) };
}

function id(random: Random, prefix: string): string {
  return `${prefix}_1P${between(random, 1e9, 9e9).toString(36)}${between(random, 1e9, 9e9).toString(36)}`;
}

/** Amounts in the currency's minor units; yen have none. */
function money(random: Random): { amount: number; currency: string } {
  const currency = pick(random, ['usd', 'eur', 'chf', 'jpy']);
  return {
    amount: currency === 'jpy' ? between(random, 500, 60_000) : between(random, 499, 49_999),
    currency,
  };
}

function name(random: Random): string | null {
  if (chance(random, 0.15)) return null;
  const { first_name, last_name } = person(random);
  return `${first_name} ${last_name}`.trim();
}

function address(random: Random): Payload {
  const { city, country_code } = place(random);
  return chance(random, 0.3)
    ? { city: null, country: null, line1: null, postal_code: null }
    : { city, country: country_code, line1: null, postal_code: String(between(random, 1000, 99_999)) };
}

function charge(random: Random, created: number): { type: string; object: Payload } {
  const { amount, currency } = money(random);
  const failed = chance(random, 0.08);
  const refunded = !failed && chance(random, 0.1);
  const object: Payload = {
    id: id(random, 'ch'),
    object: 'charge',
    amount,
    amount_refunded: refunded ? amount : 0,
    currency,
    created,
    description: pick(random, ['Pro plan', 'Workshop «Daten»', null, 'Invoice 2025-0042']),
    billing_details: { name: name(random), email: null, phone: null, address: address(random) },
    paid: !failed,
    refunded,
    status: failed ? 'failed' : 'succeeded',
    failure_code: failed ? 'card_declined' : null,
    metadata: {},
  };
  const outcome = failed ? 'failed' : refunded ? 'refunded' : 'succeeded';
  return { type: `charge.${outcome}`, object };
}

function invoice(random: Random, created: number): Payload {
  const { amount, currency } = money(random);
  return {
    id: id(random, 'in'),
    object: 'invoice',
    amount_due: amount,
    amount_paid: amount,
    currency,
    created,
    customer: id(random, 'cus'),
    customer_name: name(random),
    customer_address: address(random),
    description: null,
    lines: {
      object: 'list',
      has_more: false,
      data: [{ description: '1 × Team plan (at €49.00 / month)', amount }],
    },
    paid: true,
    status: 'paid',
  };
}

function session(random: Random, created: number): Payload {
  const { amount, currency } = money(random);
  return {
    id: id(random, 'cs'),
    object: 'checkout.session',
    amount_subtotal: amount,
    amount_total: amount,
    currency,
    created,
    customer_details: { name: name(random), email: null, address: address(random), tax_ids: [] },
    mode: pick(random, ['payment', 'subscription']),
    payment_status: 'paid',
    status: 'complete',
    metadata: { campaign: 'spring-🌱' },
  };
}

function subscription(random: Random, created: number): Payload {
  const { amount, currency } = money(random);
  return {
    id: id(random, 'sub'),
    object: 'subscription',
    created,
    currency,
    customer: id(random, 'cus'),
    items: {
      object: 'list',
      data: [{ price: { unit_amount: amount, nickname: 'Team, monthly', recurring: { interval: 'month' } } }],
    },
    status: pick(random, ['active', 'trialing']),
    trial_end: chance(random, 0.3) ? created + 14 * 86_400 : null,
  };
}
