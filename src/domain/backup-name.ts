/** Longest name that PostgreSQL keeps; what is longer it cuts off silently. */
const LONGEST_NAME_BYTES = 63;

/**
 * Name for a copy of a table made on this day (in UTC): `campaigns` → `campaigns_backup_20250131`. Keeps the schema and
 * the quoting of the given name; the table's part is shortened where the whole would be too long for the database.
 */
export function backupName(table: string, date: Date): string {
  const [, schema = '', name = table] = /^((?:"(?:[^"]|"")*"|[^".]+)\.)?(.+)$/.exec(table) ?? [];
  const suffix = `_backup_${date.toISOString().slice(0, 10).replaceAll('-', '')}`;
  const quoted = /^"(.*)"$/.exec(name);
  if (!quoted?.[1]) return schema + shorten(name, LONGEST_NAME_BYTES - suffix.length) + suffix;
  const plain = quoted[1].replaceAll('""', '"');
  const short = shorten(plain, LONGEST_NAME_BYTES - suffix.length);
  return `${schema}"${short.replaceAll('"', '""')}${suffix}"`;
}

function shorten(name: string, bytes: number): string {
  const encoder = new TextEncoder();
  const characters = [...name];
  while (encoder.encode(characters.join('')).length > bytes) characters.pop();
  return characters.join('');
}
