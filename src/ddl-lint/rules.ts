/**
 * What a finding asks for. `error`: the linter cannot read the statement. `warning`: the statement can hold up or break
 * an application on a live table. Both need a waiver. `advice`: something to consider, shown and no more.
 */
export type Severity = 'error' | 'warning' | 'advice';

/** Rules that ask for what Cutover does for every statement itself. */
const HANDLED_BY_CUTOVER = new Set([
  // Each attempt at a statement runs under the phase's lockTimeout, and is repeated.
  'require-lock-timeout',
  'require-timeout-settings',
  // A statement may be stopped at any time by pausing or rolling back; a time limit would end a VALIDATE CONSTRAINT or an
  // index build of hours that disturbs nobody.
  'require-statement-timeout',
  // What was applied is recorded in the statement's own transaction, and is not applied again.
  'prefer-robust-stmts',
]);

/** In `down`: it takes back what `up` added, after the flag is closed and the rows are restored, so that no client can need it. */
const HANDLED_ON_THE_WAY_DOWN = new Set(['ban-drop-column', 'ban-drop-table']);

/** Rules about how new columns are best declared: a matter for the reviewer, and no danger to what is running. */
const ADVICE = new Set([
  'ban-char-field',
  'prefer-bigint-over-int',
  'prefer-bigint-over-smallint',
  'prefer-identity',
  'prefer-text-field',
  'prefer-timestamp-tz',
]);

/** Undefined for what is no concern here. A rule that squawk gains is a warning until somebody decides otherwise. */
export function severityOf(
  rule: string,
  { level, direction }: { level: 'Warning' | 'Error'; direction: 'up' | 'down' },
): Severity | undefined {
  if (HANDLED_BY_CUTOVER.has(rule)) return undefined;
  if (direction === 'down' && HANDLED_ON_THE_WAY_DOWN.has(rule)) return undefined;
  if (ADVICE.has(rule)) return 'advice';
  return level === 'Error' ? 'error' : 'warning';
}
