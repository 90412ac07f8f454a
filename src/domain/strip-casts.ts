import { lex } from './sql-lexer.ts';

/**
 * The operand of an SQL expression that is nothing but casts of it: `total` for `CAST((total)::numeric AS numeric(12,2))`.
 * Every other expression is returned as it is, without its comments.
 */
export function stripCasts(expression: string): string {
  let operand = withoutComments(expression).trim();
  for (;;) {
    const inner = withoutParentheses(operand) ?? withoutCastCall(operand) ?? withoutColons(operand);
    if (inner === undefined) return operand;
    operand = inner.trim();
  }
}

function withoutComments(sql: string): string {
  return lex(sql)
    .map(({ kind, text }) => (kind === 'comment' ? ' ' : text))
    .join('');
}

/** The text with whatever stands in strings, quoted names, parentheses or brackets blotted out; as long as before. */
function topLevel(sql: string): string {
  let depth = 0;
  return lex(sql)
    .map(({ kind, text }) => {
      if (kind !== 'code') return 'x'.repeat(text.length);
      return [...text]
        .map((character) => {
          if (character === '(' || character === '[')
            return depth++ === 0 ? character : 'x'.repeat(character.length);
          if (character === ')' || character === ']') return --depth === 0 ? character : 'x';
          return depth === 0 ? character : 'x'.repeat(character.length);
        })
        .join('');
    })
    .join('');
}

function withoutParentheses(sql: string): string | undefined {
  return /^\(x*\)$/.test(topLevel(sql)) ? sql.slice(1, -1) : undefined;
}

function withoutCastCall(sql: string): string | undefined {
  const call = /^CAST\s*\((x*)\)$/i.exec(topLevel(sql));
  if (!call) return undefined;
  const inside = sql.slice(sql.indexOf('(') + 1, -1);
  const separator = /\sAS\s+[^']*$/i.exec(topLevel(inside));
  return separator ? inside.slice(0, separator.index) : undefined;
}

const TYPE = /^\s*[\p{L}_][\p{L}\p{N}_ .]*(?:\(x*\))?(?: with(?:out)? time zone)?(?:\[x*\])*\s*$/iu;
/** A name, a call, a literal or something in parentheses, to which a cast that follows belongs as a whole. */
const PRIMARY = /^\s*(?:[\p{L}_][\p{L}\p{N}_$.]*\s*(?:\(x*\))?|\(x*\)|\d+(?:\.\d+)?)(?:\[x*\])*\s*$/u;
function withoutColons(sql: string): string | undefined {
  const [operand = '', ...types] = topLevel(sql).split('::');
  const isCast = types.length > 0 && PRIMARY.test(operand) && types.every((type) => TYPE.test(type));
  return isCast ? sql.slice(0, operand.length) : undefined;
}
