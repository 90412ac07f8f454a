import { customType } from 'drizzle-orm/pg-core';
import { storableJson, storableText } from '../domain/storable.ts';

/*
 * Columns that take every string. A record that the database refuses would be tried again for ever, and would hold up the
 * run that it tells of.
 */

export const text = customType<{ data: string }>({ dataType: () => 'text', toDriver: storableText });

export const jsonb = customType<{ data: unknown }>({ dataType: () => 'jsonb', toDriver: storableJson });
