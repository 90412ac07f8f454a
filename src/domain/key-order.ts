/** Between the values of a key; comes before every character that they begin with. */
const SEPARATOR = '\u0001';
const NEGATIVE = '0';
const ZERO = '1';
const POSITIVE = '2';
const TEXT = '3';
/** More than the digits that PostgreSQL's numeric can have before or after its point. */
const EXPONENT_OFFSET = 500_000;
const EXPONENT_DIGITS = 6;
const LONGEST = 500;

const NUMBER = /^(-?)(?=\.?\d)0*(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,5}))?$/i;

/**
 * A text by which keys sort as their values do, compared code point by code point: numbers by size and before texts,
 * texts by their characters. Only the beginning of a long key counts.
 */
export function sortableKey(key: readonly string[]): string {
  return key.map(sortableValue).join(SEPARATOR).slice(0, LONGEST);
}

function sortableValue(value: string): string {
  const match = NUMBER.exec(value);
  const [, sign, whole = '', fraction = '', exponent = '0'] = match ?? [];
  if (!match) return TEXT + value;
  const digits = `${whole}${fraction}`;
  const significant = digits.replace(/^0+/, '');
  if (significant === '') return ZERO;
  const magnitude = whole.length - (digits.length - significant.length) + Number(exponent);
  const size = String(magnitude + EXPONENT_OFFSET).padStart(EXPONENT_DIGITS, '0');
  const positive = `${size}${significant.replace(/0+$/, '')}`;
  // The larger a negative number's size, the earlier it comes; and so with one digit more.
  return sign ? `${NEGATIVE}${complement(positive)}~` : `${POSITIVE}${positive}`;
}

function complement(digits: string): string {
  return digits.replaceAll(/\d/g, (digit) => String(9 - Number(digit)));
}
