/**
 * What can be wrong with a sync: its triggers are not as they were installed, what it captured is not dealt with in time,
 * rows are not what their transform makes of them, or none of that can be found out.
 */
export type DriftKind = 'triggers' | 'queue' | 'rows' | 'unknown';
