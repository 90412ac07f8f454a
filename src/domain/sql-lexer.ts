/** A stretch of SQL text. Only what is `code` may be read as SQL; the rest is data, a name or a remark. */
export type Segment = { kind: 'code' | 'string' | 'quoted-identifier' | 'comment'; text: string };

const WORD = /[\p{L}\p{N}_$]/u;
const DOLLAR_TAG = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;

/**
 * Cuts SQL into segments that together are the text again. Assumes `standard_conforming_strings`, as servers have it by
 * default; whatever is left open at the end (a string, a comment) reaches to the end, and the server will say so.
 */
export function lex(sql: string): Segment[] {
  const segments: Segment[] = [];
  let codeStart = 0;
  let at = 0;
  while (at < sql.length) {
    const found = openingAt(sql, at);
    if (!found) {
      at += 1;
      continue;
    }
    if (at > codeStart) segments.push({ kind: 'code', text: sql.slice(codeStart, at) });
    segments.push({ kind: found.kind, text: sql.slice(at, found.end) });
    at = found.end;
    codeStart = at;
  }
  if (at > codeStart) segments.push({ kind: 'code', text: sql.slice(codeStart) });
  return segments;
}

/**
 * Whether what the text opens is closed where it was opened, and nothing else is: then it stays one expression when it is put
 * in parentheses, which `false) OR (true` does not.
 */
export function isClosed(sql: string): boolean {
  let depth = 0;
  for (const { kind, text } of lex(sql)) {
    if (kind !== 'code') continue;
    for (const character of text) {
      if (character === '(' || character === '[') depth += 1;
      if (character === ')' || character === ']') depth -= 1;
      if (depth < 0) return false;
    }
  }
  return depth === 0;
}

/** The text with strings emptied and comments blank, for looking at what kind of statement it is. */
export function codeOf(sql: string): string {
  return lex(sql)
    .map(({ kind, text }) => (kind === 'comment' ? ' ' : kind === 'string' ? "''" : text))
    .join('')
    .trim();
}

function openingAt(sql: string, at: number): { kind: Segment['kind']; end: number } | undefined {
  switch (sql[at]) {
    case "'":
      return { kind: 'string', end: endOfQuoted(sql, at, "'", isEscapeString(sql, at)) };
    case '"':
      return { kind: 'quoted-identifier', end: endOfQuoted(sql, at, '"', false) };
    case '-':
      return sql[at + 1] === '-' ? { kind: 'comment', end: endOfLine(sql, at) } : undefined;
    case '/':
      return sql[at + 1] === '*' ? { kind: 'comment', end: endOfBlockComment(sql, at) } : undefined;
    case '$': {
      const end = endOfDollarQuoted(sql, at);
      return end === undefined ? undefined : { kind: 'string', end };
    }
    default:
      return undefined;
  }
}

/** `E'…'`, where a backslash escapes the quote; not the end of a longer word, as in `some_typE'…'`. */
function isEscapeString(sql: string, at: number): boolean {
  const before = sql[at - 1];
  return (before === 'E' || before === 'e') && !WORD.test(sql[at - 2] ?? ' ');
}

function endOfQuoted(sql: string, start: number, quote: string, backslashEscapes: boolean): number {
  let at = start + 1;
  while (at < sql.length) {
    if (backslashEscapes && sql[at] === '\\') at += 2;
    else if (sql[at] !== quote) at += 1;
    else if (sql[at + 1] === quote) at += 2;
    else return at + 1;
  }
  return sql.length;
}

function endOfLine(sql: string, start: number): number {
  const offset = sql.slice(start).search(/[\n\r]/);
  return offset === -1 ? sql.length : start + offset;
}

/** Block comments nest in PostgreSQL. */
function endOfBlockComment(sql: string, start: number): number {
  let depth = 0;
  for (let at = start; at < sql.length; at += 1) {
    const pair = sql.slice(at, at + 2);
    if (pair === '/*') depth += 1;
    else if (pair === '*/') depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return sql.length;
}

function endOfDollarQuoted(sql: string, start: number): number | undefined {
  if (WORD.test(sql[start - 1] ?? ' ')) return undefined;
  DOLLAR_TAG.lastIndex = start;
  const tag = DOLLAR_TAG.exec(sql)?.[0];
  if (tag === undefined) return undefined;
  const close = sql.indexOf(tag, start + tag.length);
  return close === -1 ? sql.length : close + tag.length;
}

/** The names that SQL code mentions, folded to lower case unless it is quoted; a keyword counts as well. */
export function namesIn(sql: string): Set<string> {
  const names = new Set<string>();
  for (const { kind, text } of lex(sql)) {
    if (kind === 'quoted-identifier') names.add(text.slice(1, -1).replaceAll('""', '"'));
    if (kind !== 'code') continue;
    for (const [word] of text.matchAll(/(?<![\p{N}$])[\p{L}_][\p{L}\p{N}_$]*/gu))
      names.add(word.toLowerCase());
  }
  return names;
}
