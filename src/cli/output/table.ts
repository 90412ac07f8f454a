import { padEnd, padStart, type Style, textWidth } from './style.ts';

export type Column = { title: string; align?: 'left' | 'right' };

/** Rows under dimmed titles, columns aligned, two spaces between them; no lines drawn. */
export function table(style: Style, columns: Column[], rows: string[][]): string[] {
  const widths = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...rows.map((row) => textWidth(row[index] ?? ''))),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === 'right' ? padStart(cell, width) : padEnd(cell, width);
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => style.dim(column.title))), ...rows.map(line)];
}

/** `name  value` lines with the values aligned; pairs without a value are left out. */
export function facts(style: Style, pairs: [name: string, value: string | undefined][]): string[] {
  const shown = pairs.filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '');
  const width = Math.max(0, ...shown.map(([name]) => textWidth(name)));
  return shown.map(([name, value]) => `${style.dim(padEnd(name, width))}  ${value}`);
}

export function indent(lines: string[], by = 2): string[] {
  return lines.map((line) => (line ? ' '.repeat(by) + line : line));
}
