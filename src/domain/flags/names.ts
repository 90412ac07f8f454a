const KEY = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}$/;
const ATTRIBUTE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const NAMES_SHOWN = 10;

/** Can a flag or a segment be called so? */
export function isKey(text: unknown): boolean {
  return typeof text === 'string' && KEY.test(text);
}

export const KEY_FIX =
  'use up to 255 letters, digits and "_", "-", ".", ":", with a letter, a digit or "_" first';

/** Is it the name of an attribute, or a path to one? */
export function isAttributePath(text: unknown): boolean {
  return typeof text === 'string' && ATTRIBUTE.test(text) && !text.split('.').includes('__proto__');
}

export const ATTRIBUTE_FIX = 'use letters, digits, "_" and "-", with dots between the names of a path';

/** The rest of a fix that begins with "add it": `, or use one of "a", "b"`; nothing when there are no names. */
export function orUse(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return '';
  const shown = all.slice(0, NAMES_SHOWN).map((name) => `"${name}"`);
  return `, or use one of ${shown.join(', ')}${all.length > NAMES_SHOWN ? ', …' : ''}`;
}
