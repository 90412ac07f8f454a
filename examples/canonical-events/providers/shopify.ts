import type { Payload, Provider } from './provider.ts';
import { first, joined, list, number, object, text } from './read.ts';

/** Shopify's webhooks: orders, refunds, fulfilments, customers. Prices arrive as text. */
export const shopify: Provider = {
  name: 'shopify',

  eventType(payload) {
    if (Array.isArray(payload.refund_line_items)) return 'refund.created';
    if (text(payload.tracking_company) && payload.order_id !== undefined) return 'fulfillment.created';
    if (Array.isArray(payload.line_items)) {
      return text(payload.cancelled_at) ? 'order.cancelled' : 'order.created';
    }
    if (payload.orders_count !== undefined) return 'customer.created';
    return undefined;
  },

  fields(payload) {
    const item = firstItem(payload);
    const address = object(first(payload.shipping_address, payload.billing_address, payload.default_address));
    return {
      product_name: first(text(item.title), text(item.name)),
      variant: text(item.variant_title),
      price: number(item.price),
      quantity: number(item.quantity),
      item_count: itemCount(payload),
      total: number(payload.total_price),
      refund_amount: refunded(payload),
      currency: text(payload.currency),
      order_name: text(payload.name),
      customer_name: customerName(payload, address),
      location: joined(', ', address.city, address.country),
    };
  },

  time: (payload) => payload.processed_at ?? payload.created_at,
};

function firstItem(payload: Payload): Payload {
  const refund = object(list(payload.refund_line_items)[0]);
  return object(refund.line_item ?? list(payload.line_items)[0]);
}

/** Only worth saying when there is more than the one that is shown. */
function itemCount(payload: Payload): number | undefined {
  const lines = list(payload.line_items).length;
  return lines > 1 ? lines : undefined;
}

function refunded(payload: Payload): number | undefined {
  const amounts = list(payload.transactions)
    .map(object)
    .filter((transaction) => transaction.kind === 'refund')
    .map((transaction) => number(transaction.amount));
  const known = amounts.filter((amount) => amount !== undefined);
  if (known.length === 0) return undefined;
  // Summed in cents: 0.1 + 0.2 must not become 0.30000000000000004.
  return known.reduce((cents, amount) => cents + Math.round(amount * 100), 0) / 100;
}

/** The customer of an order; a customer's own payload carries the names at its top. */
function customerName(payload: Payload, address: Payload): string | undefined {
  const customer = object(payload.customer);
  return (
    joined(' ', customer.first_name, customer.last_name) ??
    joined(' ', payload.first_name, payload.last_name) ??
    joined(' ', address.first_name, address.last_name) ??
    text(address.name)
  );
}
