/** One figure. `ratio` is what the goal is about; `value` is the figure itself in its unit. */
export type BenchRow = {
  name: string;
  value: number;
  unit: string;
  /** Against the figure that the name says, measured in the same run; null for a figure that stands alone. */
  ratio: number | null;
  /** Such as `>= 0.97`; null where nothing was promised. */
  goal: string | null;
  met: boolean | null;
};

/** Fills in whether the goal is met. */
export function row(
  name: string,
  value: number,
  unit: string,
  compared: { ratio?: number; goal?: string } = {},
): BenchRow {
  const ratio = compared.ratio ?? null;
  const goal = compared.goal ?? null;
  return { name, value, unit, ratio, goal, met: goal === null ? null : meets(ratio ?? value, goal) };
}

function meets(measured: number, goal: string): boolean {
  const [, op, limit] = /^(>=|<=) ([\d.]+)$/.exec(goal) ?? [];
  if (!op || limit === undefined) throw new RangeError(`"${goal}" is no goal; write it as ">= 0.97"`);
  return op === '>=' ? measured >= Number(limit) : measured <= Number(limit);
}

/** Aligned text, as a person reads it. */
export function table(rows: BenchRow[]): string {
  const cells = [
    ['figure', 'value', '', 'ratio', 'goal', ''],
    ...rows.map((figure) => [
      figure.name,
      format(figure.value),
      figure.unit,
      figure.ratio === null ? '' : figure.ratio.toFixed(2),
      figure.goal ?? '',
      figure.met === null ? '' : figure.met ? 'met' : 'NOT MET',
    ]),
  ];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? [];
  return cells
    .map((line) =>
      line
        .map((cell, i) => (i === 1 || i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2);
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
