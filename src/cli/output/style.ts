import { stripVTControlCharacters } from 'node:util';

/** Codes of ECMA-48: on, off. */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

export type StyleName = keyof typeof CODES;
export type Style = Record<StyleName, (text: string) => string>;

/** Colours for a terminal, or none at all. */
export function createStyle(colours: boolean): Style {
  const paint = (name: StyleName) => (text: string) => {
    const [on, off] = CODES[name];
    return colours && text ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  };
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
  };
}

/** Columns that the text takes on a terminal. */
export function textWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - textWidth(text))) + text;
}

const ESCAPE = '\u001b';
const COLOUR = new RegExp(`(${ESCAPE}\\[\\d+m)`);

/** Shortens a text, colours included, to a number of columns; the last one becomes an ellipsis. */
export function clip(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let shown = 0;
  let result = '';
  for (const part of text.split(COLOUR)) {
    if (part.startsWith(ESCAPE)) {
      result += part;
      continue;
    }
    const room = width - 1 - shown;
    const kept = [...part].slice(0, Math.max(0, room));
    shown += kept.length;
    result += kept.join('');
    if (kept.length < [...part].length && shown === width - 1) {
      result += '…';
      shown = width;
    }
  }
  return result;
}
