import { isRowError } from './errors.ts';

/**
 * Attempts all items at once; when rows are at fault, halves them until each failing item stands alone.
 * @param attempt must leave nothing behind when it throws.
 * @param onFailing hears of each failing item, in order.
 * @throws whatever is no fault of particular rows.
 */
export async function bisect<T>(
  items: readonly T[],
  attempt: (part: readonly T[]) => Promise<void>,
  onFailing: (item: T, error: unknown) => void,
): Promise<void> {
  const [first] = items;
  if (first === undefined) return;
  try {
    await attempt(items);
  } catch (error) {
    if (!isRowError(error)) throw error;
    if (items.length === 1) {
      onFailing(first, error);
      return;
    }
    const middle = Math.ceil(items.length / 2);
    await bisect(items.slice(0, middle), attempt, onFailing);
    await bisect(items.slice(middle), attempt, onFailing);
  }
}
