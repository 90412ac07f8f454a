import { lex } from '../../domain/sql-lexer.ts';

export type BoundStatement = { text: string; values: unknown[] };

/**
 * `:name`, unless the colon belongs to a cast (`::`), an assignment (`:=`) or an array slice (`a[low:high]`), whose colon
 * follows a name, a number or a bracket directly.
 */
const PARAMETER = /(?<![:\p{L}\p{N}_$\])]):([\p{L}_][\p{L}\p{N}_]*)/gu;
const POSITIONAL = /(?<![\p{L}\p{N}_$])\$\d+/u;

/**
 * Turns the named parameters of a SQL text into positional ones; a name that occurs twice is one parameter. Strings,
 * quoted names and comments are left alone, and so are names that the text does not use.
 * @throws Error when the text uses a name that is not among the parameters, or `$1`.
 */
export function bindNamedParameters(sql: string, parameters: Record<string, unknown>): BoundStatement {
  const names: string[] = [];
  const positionOf = (name: string) => {
    if (!Object.hasOwn(parameters, name)) {
      throw new Error(`the SQL uses :${name}, which is no parameter; known here: ${known(parameters)}`);
    }
    if (!names.includes(name)) names.push(name);
    return names.indexOf(name) + 1;
  };
  const text = lex(sql)
    .map((segment) => {
      if (segment.kind !== 'code') return segment.text;
      const positional = POSITIONAL.exec(segment.text)?.[0];
      if (positional)
        throw new Error(
          `the SQL uses ${positional}; parameters go by name; known here: ${known(parameters)}`,
        );
      return segment.text.replaceAll(PARAMETER, (_, name: string) => `$${positionOf(name)}`);
    })
    .join('');
  return { text, values: names.map((name) => parameters[name]) };
}

function known(parameters: Record<string, unknown>): string {
  const names = Object.keys(parameters).map((name) => `:${name}`);
  return names.length > 0 ? names.join(', ') : 'none';
}
