import type { Measurement } from '../../domain/gate-verdict.ts';
import type { LoadReading } from '../../domain/load-reading.ts';
import type { LoadSignal } from '../../domain/load-signal.ts';
import { describeSqlError } from '../../targets/postgres/errors.ts';
import { measureArchiveBacklog } from '../../targets/postgres/load/archive-backlog.ts';
import { measureDeadTuples } from '../../targets/postgres/load/dead-tuples.ts';
import { measureLockWaiters } from '../../targets/postgres/load/lock-waiters.ts';
import { readOldestXmin } from '../../targets/postgres/load/oldest-xmin.ts';
import { measureReplicationLag } from '../../targets/postgres/load/replication-lag.ts';
import { readWalPosition, type WalPosition } from '../../targets/postgres/load/wal-position.ts';
import { measureWraparoundVacuum } from '../../targets/postgres/load/wraparound-vacuum.ts';
import { measureNumber } from '../../targets/postgres/measure-number.ts';
import type { Session, Target } from '../../targets/target.ts';
import { wait } from '../backfill/wait.ts';
import { measureHttp } from './http-probe.ts';

/** What one round of measurements has to know of the round before. */
export type LoadMemory = {
  wal?: WalPosition;
  /** The oldest transaction number that something held back, and when it was seen first, by the server's clock. */
  held?: { xmin: string; since: number };
};

export type MeasureInput = {
  signals: readonly LoadSignal[];
  table: string;
  /** As its lanes are known by. */
  backfill: string;
  memory: LoadMemory;
  /** By the server's clock, in milliseconds. */
  now: number;
  signal?: AbortSignal | undefined;
};

/** A plan's own probe that takes longer is a load of its own. */
const PROBE_TIMEOUT_MS = 2_000;
/** Catalogs answer in a millisecond; whoever has one of them locked is not waited for. */
const CATALOG_TIMEOUT_MS = 1_000;
const CATALOG_LOCK_TIMEOUT_MS = 100;
/** Over less than this a rate says nothing; over more it says nothing about the present. */
const SHORTEST_WAL_MS = 200;
const LONGEST_WAL_MS = 60_000;

/**
 * Measures every signal once, on connections of its own. One that cannot be measured says why; the others are measured all
 * the same.
 * @throws the signal's reason when aborted, and nothing else.
 */
export async function measureLoad(
  target: Target,
  input: MeasureInput,
): Promise<{ readings: LoadReading[]; memory: LoadMemory }> {
  const memory: LoadMemory = {};
  const probes = input.signals.filter(isProbe).map((signal) => measureProbe(target, signal, input.signal));
  const [catalog, ...probed] = await Promise.all([measureCatalog(target, input, memory), ...probes]);
  const found = new Map([...catalog, ...probed]);
  return {
    readings: input.signals.map((signal) => ({ signal, measured: found.get(signal) ?? { kind: 'no-data' } })),
    memory,
  };
}

type Measured = [signal: LoadSignal, measured: Measurement];
type Probe = Extract<LoadSignal, { kind: 'sql' | 'http' }>;
type CatalogSignal = Exclude<LoadSignal, Probe>;

function isProbe(signal: LoadSignal): signal is Probe {
  return signal.kind === 'sql' || signal.kind === 'http';
}

async function measureProbe(
  target: Target,
  probe: Probe,
  signal: AbortSignal | undefined,
): Promise<Measured> {
  const options = { timeoutMs: PROBE_TIMEOUT_MS, signal };
  if (probe.kind === 'http') return [probe, await measureHttp(probe, options)];
  return [probe, await measureNumber(target, probe.sql, {}, options)];
}

/** What the server itself tells, one after the other on one connection. */
async function measureCatalog(target: Target, input: MeasureInput, memory: LoadMemory): Promise<Measured[]> {
  const signals = input.signals.filter((signal): signal is CatalogSignal => !isProbe(signal));
  if (signals.length === 0) return [];
  const options = {
    signal: input.signal,
    statementTimeoutMs: CATALOG_TIMEOUT_MS,
    lockTimeoutMs: CATALOG_LOCK_TIMEOUT_MS,
  };
  const measured: Measured[] = [];
  try {
    await target.session(options, async (session) => {
      for (const signal of signals)
        measured.push([
          signal,
          await unlessItFails(input, () => measureSignal(session, signal, input, memory)),
        ]);
    });
  } catch (error) {
    input.signal?.throwIfAborted();
    const failure = { kind: 'error', message: describeSqlError(error) } as const;
    return signals.map((signal) => [signal, failure]);
  }
  return measured;
}

async function unlessItFails(
  { signal }: MeasureInput,
  measure: () => Promise<Measurement>,
): Promise<Measurement> {
  try {
    return await measure();
  } catch (error) {
    signal?.throwIfAborted();
    return { kind: 'error', message: describeSqlError(error) };
  }
}

function measureSignal(
  session: Session,
  signal: CatalogSignal,
  input: MeasureInput,
  memory: LoadMemory,
): Promise<Measurement> {
  const { table, backfill } = input;
  switch (signal.kind) {
    case 'replication-lag':
      return measureReplicationLag(session, signal.replicas);
    case 'lock-waiters':
      return measureLockWaiters(session, table, backfill);
    case 'wal-rate':
      return measureWalRate(session, input, memory);
    case 'archive-backlog':
      return measureArchiveBacklog(session);
    case 'wraparound-vacuum':
      return measureWraparoundVacuum(session, table);
    case 'dead-tuples':
      return measureDeadTuples(session, table);
    case 'oldest-xmin':
      return measureOldestXmin(session, input, memory);
  }
}

/** Bytes per second since the round before, or over a moment when there was none lately. */
async function measureWalRate(
  session: Session,
  { memory: before, signal }: MeasureInput,
  memory: LoadMemory,
): Promise<Measurement> {
  let now = await readWalPosition(session);
  let from = before.wal;
  const isUsable =
    from && now.bytes >= from.bytes && isWithin(now.at - from.at, SHORTEST_WAL_MS, LONGEST_WAL_MS);
  if (!from || !isUsable) {
    from = now;
    await wait(SHORTEST_WAL_MS, signal);
    now = await readWalPosition(session);
  }
  memory.wal = now;
  return { kind: 'value', value: ((now.bytes - from.bytes) / (now.at - from.at)) * 1_000 };
}

function isWithin(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

/**
 * Age in milliseconds. Of what standbys and replication slots hold back the server knows no time, so that counts from when it
 * was first seen here, or from when the slot was last in use.
 */
async function measureOldestXmin(
  session: Session,
  { memory: before, now }: MeasureInput,
  memory: LoadMemory,
): Promise<Measurement> {
  const { visible, transactionMs, held, heldMs } = await readOldestXmin(session);
  if (!visible) {
    const message = "the role may not see how old others' transactions are; GRANT pg_read_all_stats to it";
    return { kind: 'error', message };
  }
  let seenMs = 0;
  if (held !== null) {
    const since = before.held?.xmin === held ? before.held.since : now;
    memory.held = { xmin: held, since };
    seenMs = now - since;
  }
  return { kind: 'value', value: Math.max(transactionMs ?? 0, heldMs ?? 0, seenMs, 0) };
}
