/** A count with its noun: `1 row`, `2 rows`, `3 queries`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
