import type { Payload, Provider } from './provider.ts';
import { first, isObject, joined, list, number, object, text } from './read.ts';

/** Stripe's events, and the bare objects that older deliveries stored without the envelope. Amounts are in minor units. */
export const stripe: Provider = {
  name: 'stripe',

  eventType(payload) {
    return isEnvelope(payload) ? text(payload.type) : typeOfObject(payload);
  },

  fields(payload) {
    const subject = subjectOf(payload);
    const currency = text(subject.currency)?.toUpperCase();
    const billing = object(first(subject.billing_details, subject.customer_details, subject.shipping));
    const address = object(first(billing.address, subject.customer_address));
    return {
      product_name: productName(subject),
      price: major(
        first(number(subject.amount), number(subject.amount_total), number(subject.amount_paid)),
        currency,
      ),
      refund_amount: major(number(subject.amount_refunded) || undefined, currency),
      currency,
      customer_name: first(
        text(billing.name),
        text(subject.customer_name),
        subject.object === 'customer' ? text(subject.name) : undefined,
      ),
      location: joined(', ', address.city, address.country),
      status: text(subject.status),
    };
  },

  time: (payload) => payload.created,
};

/** Currencies without minor units: Stripe's amounts are whole units of them. */
const NO_MINOR_UNITS = new Set('BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF'.split(' '));
const THREE_DECIMALS = new Set('BHD JOD KWD OMR TND'.split(' '));

/** An amount without its currency has no meaning, so it is not shown. */
function major(amount: number | undefined, currency: string | undefined): number | undefined {
  if (amount === undefined || currency === undefined) return undefined;
  if (NO_MINOR_UNITS.has(currency)) return amount;
  return amount / (THREE_DECIMALS.has(currency) ? 1000 : 100);
}

function isEnvelope(payload: Payload): boolean {
  return payload.object === 'event' && isObject(payload.data);
}

function subjectOf(payload: Payload): Payload {
  return isEnvelope(payload) ? object(object(payload.data).object) : payload;
}

function productName(subject: Payload): string | undefined {
  const line = object(first(...list(object(first(subject.lines, subject.line_items, subject.items)).data)));
  const price = object(first(line.price, subject.plan));
  return first(text(subject.description), text(line.description), text(price.nickname));
}

function typeOfObject(subject: Payload): string | undefined {
  switch (subject.object) {
    case 'charge':
      if (subject.refunded === true) return 'charge.refunded';
      if (subject.status === 'succeeded' || subject.status === 'failed') return `charge.${subject.status}`;
      return undefined;
    case 'payment_intent':
      return subject.status === 'succeeded' ? 'payment_intent.succeeded' : undefined;
    case 'invoice':
      return subject.paid === true || subject.status === 'paid' ? 'invoice.paid' : undefined;
    case 'checkout.session':
      return subject.status === 'complete' ? 'checkout.session.completed' : undefined;
    default:
      return undefined;
  }
}
