import { pipeline, Readable } from 'node:stream';
import { stringify } from 'csv-stringify';

/**
 * Rows as CSV, with a line of column names. Texts that a spreadsheet would take for a formula are made plain text.
 * An error while rows are read destroys the stream, so that a cut-off file is never taken for a whole one.
 */
export function csvStream(rows: AsyncIterable<Record<string, unknown>>, columns: string[]): Readable {
  const csv = stringify({
    header: true,
    columns,
    escape_formulas: true,
    cast: {
      date: (value) => value.toISOString(),
      boolean: (value) => String(value),
      object: (value) => JSON.stringify(value),
    },
  });
  return pipeline(Readable.from(rows), csv, () => {});
}

/** A header that makes browsers save the response under this name. */
export function attachment(name: string): string {
  return `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"`;
}
