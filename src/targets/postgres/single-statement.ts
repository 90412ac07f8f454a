import { lex } from '../../domain/sql-lexer.ts';

/**
 * The one statement of a text, without the semicolon after it.
 * @throws Error when the text holds none or more than one.
 */
export function singleStatement(sql: string): string {
  const statements = splitStatements(sql);
  const [statement] = statements;
  if (statement === undefined) throw new Error('the SQL is empty; write one statement');
  if (statements.length > 1) {
    throw new Error(
      `the SQL holds ${statements.length} statements where one is expected; ` +
        `the second begins with "${excerpt(statements[1] ?? '')}". Give each its own entry`,
    );
  }
  return statement;
}

/** Statements of a text in their order; what holds only blanks and comments is left out. */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let current = { text: '', hasCode: false, nesting: new Nesting() };
  const finish = () => {
    if (current.hasCode) statements.push(current.text.trim());
    current = { text: '', hasCode: false, nesting: new Nesting() };
  };
  for (const segment of lex(sql)) {
    if (segment.kind !== 'code') {
      current.text += segment.text;
      current.hasCode ||= segment.kind !== 'comment';
      continue;
    }
    for (const piece of segment.text.split(/(;|[()]|[\p{L}_][\p{L}\p{N}_$]*)/u)) {
      if (piece === ';' && !current.nesting.inside) {
        finish();
        continue;
      }
      current.nesting.see(piece);
      current.text += piece;
      current.hasCode ||= piece.trim() !== '';
    }
  }
  finish();
  return statements;
}

/** A semicolon inside parentheses (CREATE RULE) or a function's BEGIN ATOMIC … END does not end the statement. */
class Nesting {
  private parentheses = 0;
  private blocks = 0;
  private words: string[] = [];

  get inside(): boolean {
    return this.parentheses > 0 || this.blocks > 0;
  }

  see(piece: string): void {
    if (piece === '(') this.parentheses += 1;
    else if (piece === ')') this.parentheses -= 1;
    else if (/^[\p{L}_]/u.test(piece)) this.seeWord(piece.toUpperCase());
  }

  private seeWord(word: string): void {
    const beginsAtomic = word === 'ATOMIC' && this.words.at(-1) === 'BEGIN' && this.words[0] === 'CREATE';
    if (beginsAtomic || (word === 'CASE' && this.blocks > 0)) this.blocks += 1;
    else if (word === 'END' && this.blocks > 0) this.blocks -= 1;
    // The first word says what the statement is, the last one what this word follows.
    this.words = this.words.length < 2 ? [...this.words, word] : [this.words[0] ?? word, word];
  }
}

function excerpt(statement: string): string {
  const line = statement.replaceAll(/\s+/g, ' ');
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
