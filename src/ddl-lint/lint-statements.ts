import { lex } from '../domain/sql-lexer.ts';
import { type Severity, severityOf } from './rules.ts';
import { type SquawkFinding, squawk } from './squawk.ts';

/** One thing that the linter objects to. */
export type DdlFinding = {
  /** The linter's name for it; https://squawkhq.com/docs/<rule> explains it. */
  rule: string;
  severity: Severity;
  message: string;
  /** What would be better, where the linter knows. */
  help?: string | undefined;
  /** Position of the statement in its list, from 0. */
  statement: number;
  /** Line of the statement, from 1. */
  line: number;
};

const SYNTAX_ERROR = 'syntax-error';

/**
 * What the linter finds in the statements of one list, which run in this order.
 * @throws DdlLinterFailed when it cannot be run.
 */
export async function lintStatements(
  statements: readonly string[],
  direction: 'up' | 'down',
): Promise<DdlFinding[]> {
  const found = await findingsOf(statements);
  const unreadable = new Set(found.filter(isSyntaxError).map(({ statement }) => statement));
  // A statement that the linter cannot read keeps it from looking at any other.
  const others =
    unreadable.size === 0
      ? []
      : await findingsOf(statements.map((sql, index) => (unreadable.has(index) ? '' : sql)));
  return [...found, ...others]
    .flatMap(({ rule, level, ...finding }) => {
      const severity = severityOf(rule, { level, direction });
      return severity ? [{ rule, severity, ...finding }] : [];
    })
    .sort((a, b) => a.statement - b.statement || a.line - b.line);
}

type Found = Omit<DdlFinding, 'severity'> & Pick<SquawkFinding, 'level'>;

function isSyntaxError({ rule }: Found): boolean {
  return rule === SYNTAX_ERROR;
}

/**
 * Each statement runs in a transaction of its own, which the linter takes to mean that any table may hold rows; what it is
 * told to run in one transaction it knows to be empty where the list has just created it, but then warns of holding locks
 * from one statement to the next. So what counts is what it finds both ways.
 */
async function findingsOf(statements: readonly string[]): Promise<Found[]> {
  const { text, place } = joined(statements);
  if (text.trim() === '') return [];
  const [apart, together] = await Promise.all([squawk(text), squawk(text, ['--assume-in-transaction'])]);
  const idOf = ({ rule_name, line, column }: SquawkFinding) => `${rule_name} ${line} ${column}`;
  const ids = new Set(together.map(idOf));
  return apart
    .filter((finding) => ids.has(idOf(finding)))
    .map(({ rule_name, level, message, help, line }) => ({
      ...place(line),
      rule: rule_name,
      level,
      message,
      help: help ?? undefined,
    }));
}

/** One text of all statements, each beginning on a line of its own, with the way back from its lines to theirs. */
function joined(statements: readonly string[]) {
  const lines: string[] = [];
  const starts = statements.map((sql) => {
    const start = lines.length;
    const statement = withoutComments(sql).replace(/[;\s]+$/, '');
    if (statement !== '') lines.push(...statement.split('\n'), ';');
    return start;
  });
  const place = (line: number) => {
    const statement = starts.findLastIndex((start) => start <= line);
    return { statement, line: line - (starts[statement] ?? 0) + 1 };
  };
  return { text: lines.join('\n'), place };
}

/** Comments could tell the linter to look away; only a waiver with its reason may. Lines stay where they are. */
function withoutComments(sql: string): string {
  return lex(sql)
    .map(({ kind, text }) => (kind === 'comment' ? text.replaceAll(/[^\n]/g, ' ') : text))
    .join('');
}
