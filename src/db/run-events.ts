import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { NodePgDatabase, NodePgTransaction } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import type { ControlDb } from './control-db.ts';
import type * as schema from './schema.ts';
import { runEvents } from './schema.ts';

export type RunEventRow = typeof runEvents.$inferSelect;

export type NewRunEvent = {
  runId: string;
  /** Unique within the run: the same key again is the same event. */
  key?: string;
  type: 'run' | 'phase' | 'progress' | 'load' | 'stage' | 'gate' | 'flag' | 'validation' | 'command' | 'note';
  phase?: string | null;
  message: string;
  data?: Record<string, unknown>;
};

type Executor = NodePgDatabase<typeof schema> | NodePgTransaction<typeof schema, never>;

const CHANNEL = 'cutover_run_events';

type Sql = Pick<Executor, 'execute' | 'insert'>;

/**
 * Makes the run's events wait for this transaction. Comes before any row of the run is locked, so that two transactions of
 * one run cannot wait for each other.
 *
 * Watchers read events in the order of their ids, so ids must become visible in that order: without the lock, a
 * transaction that drew a lower id and commits later would be passed over by a watcher that has seen a higher one.
 */
export async function lockEvents(db: Pick<Executor, 'execute'>, runId: string): Promise<void> {
  await db.execute(sql`SELECT pg_advisory_xact_lock(hashtextextended(${runId}, 0))`);
}

/**
 * Appends an event and wakes the run's watchers when the transaction commits.
 * @returns false when an event of this key is there already: what goes with it has been done as well.
 */
export async function appendEvent(db: Sql, event: NewRunEvent): Promise<boolean> {
  await lockEvents(db, event.runId);
  const inserted = await db
    .insert(runEvents)
    .values({
      runId: event.runId,
      key: event.key ?? null,
      type: event.type,
      phase: event.phase ?? null,
      message: event.message,
      data: event.data ?? {},
    })
    .onConflictDoNothing()
    .returning({ id: runEvents.id });
  if (inserted.length === 0) return false;
  await db.execute(sql`SELECT pg_notify(${CHANNEL}, ${event.runId})`);
  return true;
}

/** Appends an event in a transaction of its own. */
export async function recordEvent(db: ControlDb, event: NewRunEvent): Promise<boolean> {
  return db.query.transaction((tx) => appendEvent(tx, event));
}

/** Events of a run after the one with this id, oldest first. */
export function listEvents(
  db: ControlDb,
  runId: string,
  afterId: number,
  limit = 500,
): Promise<RunEventRow[]> {
  return db.query
    .select()
    .from(runEvents)
    .where(and(eq(runEvents.runId, runId), gt(runEvents.id, afterId)))
    .orderBy(asc(runEvents.id))
    .limit(limit);
}

export type EventWakeups = {
  /** Calls back when the run may have new events; returns the way to stop. */
  subscribe(runId: string, wake: () => void): () => void;
  close(): Promise<void>;
};

/**
 * Listens for new events on one connection of its own, whatever the number of watchers. It reconnects when the connection
 * breaks and then wakes everybody, since notifications may have been lost.
 */
export function listenForEvents(url: string): EventWakeups {
  const watchers = new Map<string, Set<() => void>>();
  let client: pg.Client | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const wakeAll = () => {
    for (const wakes of watchers.values()) for (const wake of wakes) wake();
  };

  const connect = async (): Promise<void> => {
    if (closed) return;
    const next = new pg.Client({
      connectionString: url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      application_name: 'cutover-events',
    });
    client = next;
    let lost = false;
    const reconnect = () => {
      if (lost || closed) return;
      lost = true;
      next.end().catch(() => {});
      retry = setTimeout(() => void connect(), 500);
    };
    next.on('error', reconnect);
    next.on('end', reconnect);
    next.on('notification', ({ payload }) => {
      for (const wake of watchers.get(payload ?? '') ?? []) wake();
    });
    try {
      await next.connect();
      await next.query(`LISTEN ${CHANNEL}`);
      wakeAll();
    } catch {
      reconnect();
    }
  };
  const connecting = connect();

  return {
    subscribe(runId, wake) {
      const wakes = watchers.get(runId) ?? new Set();
      watchers.set(runId, wakes.add(wake));
      return () => {
        wakes.delete(wake);
        if (wakes.size === 0) watchers.delete(runId);
      };
    },
    async close() {
      closed = true;
      clearTimeout(retry);
      await connecting;
      await client?.end().catch(() => {});
    },
  };
}
