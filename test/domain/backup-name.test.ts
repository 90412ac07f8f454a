import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backupName } from '../../src/domain/backup-name.ts';

const date = new Date('2025-01-31T23:59:59Z');

test.each([
  ['campaigns', 'campaigns_backup_20250131'],
  ['app.campaigns', 'app.campaigns_backup_20250131'],
  ['"Order Items"', '"Order Items_backup_20250131"'],
  ['app."a.""b"""', 'app."a.""b""_backup_20250131"'],
  ['"a.b".c', '"a.b".c_backup_20250131'],
])('%s → %s', (table, name) => {
  expect(backupName(table, date)).toBe(name);
});

test('the name is never longer than what the database keeps, and always ends with the day', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }), (table) => {
      const name = backupName(`"${table.replaceAll('"', '""')}"`, date);
      const plain = name.slice(1, -1).replaceAll('""', '"');
      expect(new TextEncoder().encode(plain).length).toBeLessThanOrEqual(63);
      expect(plain.endsWith('_backup_20250131')).toBe(true);
      expect(table.startsWith(plain.slice(0, -'_backup_20250131'.length))).toBe(true);
    }),
  );
});
