/** What a value loses on its way into a column without anybody complaining. */
export type Loss =
  /** Digits, or fractions of a second, that the column has no room for. */
  | 'rounded'
  /** A part of it: the end of a text, the time of a day, leading zeros. */
  | 'cut';

/**
 * Compares a value's text before a cast with its text afterwards. Texts that are different ways to write the same are no
 * loss; where that cannot be told, nothing is said.
 * @param source as PostgreSQL, or a transform, wrote it.
 * @param target as PostgreSQL writes what is kept of it.
 * @param isText whether it is kept as a text, whatever it looks like.
 */
export function lossBetween(source: string, target: string, isText: boolean): Loss | undefined {
  if (source === target) return undefined;
  if (isText) return lossOfText(source, target);
  const [before, after] = [decimal(source.trim()), decimal(target)];
  if (before && after) return lossOfNumber(before, after);
  const [then, now] = [TIME.exec(source.trim()), TIME.exec(target)];
  return then && now ? lossOfTime(then, now) : undefined;
}

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i;

type Decimal = { value: string; leadingZeros: boolean };

function lossOfNumber(before: Decimal, after: Decimal): Loss | undefined {
  if (before.value !== after.value) return 'rounded';
  return before.leadingZeros && !after.leadingZeros ? 'cut' : undefined;
}

/** Its digits without those that say nothing, and where the point is: equal for equal numbers. */
function decimal(text: string): Decimal | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  if (whole + fraction === '') return undefined;
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  const scale = Number(exponent) - fraction.length + (digits.length - significant.length);
  const value = significant === '' ? '0' : `${sign === '-' ? '-' : ''}${significant}e${scale}`;
  return { value, leadingZeros: /^0\d/.test(whole) };
}

const TIME = /^(\d{4,}-\d\d-\d\d)?[ T]?(?:(\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?$/i;

function lossOfTime(before: RegExpExecArray, after: RegExpExecArray): Loss | undefined {
  const [, beforeDate, beforeTime, beforeSeconds = '00', beforeFraction = ''] = before;
  const [, afterDate, afterTime, afterSeconds = '00', afterFraction = ''] = after;
  const hadTime =
    beforeTime !== undefined && `${beforeTime}:${beforeSeconds}.${beforeFraction}`.match(/[1-9]/);
  if (afterTime === undefined) return hadTime ? 'cut' : undefined;
  if (beforeDate !== undefined && afterDate === undefined) return 'cut';
  if (beforeFraction.replace(/0+$/, '') !== afterFraction.replace(/0+$/, '')) return 'rounded';
  // Another hour is another time zone's, but seconds are the same everywhere.
  return beforeSeconds === afterSeconds ? undefined : 'rounded';
}

function lossOfText(source: string, target: string): Loss | undefined {
  const kept = target.trimEnd();
  return source.startsWith(kept) && source.trimEnd().length > kept.length ? 'cut' : undefined;
}
