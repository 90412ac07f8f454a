import { customType } from 'drizzle-orm/pg-core';
import { storableJson, storableText } from '../domain/storable.ts';

/*
 * Columns that take every string. A record that the database refuses would be tried again for ever, and would hold up the
 * run that it tells of.
 */

export const text = customType<{ data: string }>({ dataType: () => 'text', toDriver: storableText });

export const jsonb = customType<{ data: unknown }>({ dataType: () => 'jsonb', toDriver: storableJson });

/** Text that sorts by its code points, in every database alike. */
export const codePoints = customType<{ data: string }>({
  dataType: () => 'text COLLATE "C"',
  toDriver: storableText,
});
