import { randomBytes } from 'node:crypto';

/** A name that no other test has, fit for a database, a namespace, a target or a plan. */
export function uniqueName(prefix = 't'): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}
