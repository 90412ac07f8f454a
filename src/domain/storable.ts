/*
 * PostgreSQL keeps a NUL in no text, and neither a NUL nor half a surrogate pair in a jsonb. Both can come with whatever
 * people, transforms and rows bring along; U+FFFD, the replacement character, stands in for them.
 */

/** The text as PostgreSQL can keep it. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}

/** The value as JSON that a jsonb can keep. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /(\\\\)|\\u(?:0000|d[89a-f][0-9a-f]{2})/g,
    (_, backslash?: string) => (backslash ? backslash : '\\ufffd'),
  );
}

/** Would the value come back from a jsonb as it is? */
export function isStorable(value: unknown): boolean {
  return storableJson(value) === JSON.stringify(value);
}
