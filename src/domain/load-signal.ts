import type { Duration } from './duration.ts';

/**
 * Something that is measured while batches run, with the limit that it must not pass. `steer` takes connections away, then
 * makes batches smaller, then pauses, as the measured value comes near its limit and passes it; `stop` pauses as soon as it
 * is passed, and goes on when it no longer is. Whatever can't be measured counts as passed.
 */
export type LoadSignal = { mode: 'steer' | 'stop' } & LoadMeasure;

export type LoadMeasure =
  /** The furthest any standby is behind in replaying. `replicas` that must be connected; fewer count as no data. */
  | { kind: 'replication-lag'; limit: Duration; replicas: number }
  /** Sessions that wait for a lock on the table or one of its rows. */
  | { kind: 'lock-waiters'; limit: number }
  /** WAL written by the whole server, in bytes per second. */
  | { kind: 'wal-rate'; limit: number }
  /** WAL segments that wait to be archived. */
  | { kind: 'archive-backlog'; limit: number }
  /** Autovacuum is at work on the table to prevent wraparound. */
  | { kind: 'wraparound-vacuum' }
  /** Dead rows of the table as a share of all its rows, 0 to 1. */
  | { kind: 'dead-tuples'; limit: number }
  /** Age of the oldest transaction that keeps dead rows from being removed. */
  | { kind: 'oldest-xmin'; limit: Duration }
  /** One read-only statement on the target whose first column of the first row is the measured number. */
  | { kind: 'sql'; name: string; sql: string; limit: number; unit: string }
  /** A number in a JSON answer, or without `path` the milliseconds that the answer took. */
  | { kind: 'http'; name: string; url: string; path?: string | undefined; limit: number; unit: string };

export type LoadSignalKind = LoadSignal['kind'];
