import type { MessagePort } from 'node:worker_threads';
import type { BatchText } from '../../targets/postgres/backfill/read-batch.ts';
import type { TextRow } from '../../targets/postgres/backfill/read-range.ts';
import type { BackfillColumn } from '../../targets/postgres/backfill/table.ts';
import type { Row } from '../../targets/target.ts';
import { TransformTooSlow } from '../errors.ts';
import { slownessGuard } from './breather.ts';
import type { ReadQuery, Transform, TransformRow } from './definition.ts';
import { type BatchShape, type DerivedBatch, deriveBatch } from './derive-batch.ts';
import { type Derived, type DeriveHooks, decodeRow, deriveRows } from './derive-rows.ts';
import { wordsOf } from './outcome.ts';

/** What a thread is asked to do; all of it can be sent to another thread. */
export type ThreadTask = {
  transform: { name: string; version: number };
  work: Work;
  /** Where the thread shows that it is alive: the place of the row that it is at, from 1 on, and a count that rises. */
  life: Int32Array<SharedArrayBuffer>;
  /** Rows that nobody tries any more, by their place, with the reason. */
  doomed: ReadonlyMap<number, string>;
  /** By which the thread's prefetch asks the database; undefined when it has none. */
  queries: MessagePort | undefined;
};

export type Work =
  | { kind: 'batch'; shape: BatchShape; text: BatchText }
  | {
      kind: 'rows';
      reads: readonly BackfillColumn[];
      written: readonly BackfillColumn[];
      rows: readonly TextRow[];
    };

export type ThreadAnswer =
  | { kind: 'done'; result: DerivedBatch | Derived[] }
  | { kind: 'too-slow' }
  | { kind: 'prefetch-failed'; message: string }
  /** The thread has no such transform, or could not import it. */
  | { kind: 'failed'; message: string };

export type Query = { id: number; text: string; values: readonly unknown[] | undefined };
export type QueryAnswer = { id: number; rows: Row[] } | { id: number; error: string };

/** Places in {@link ThreadTask.life}. */
export const LIFE = { row: 0, pulse: 1 } as const;
export const PULSE_MS = 100;

class PrefetchFailed extends Error {}

/**
 * Does the task, in the thread. Never rejects: what does is the thread's own death.
 * @param lookup gives the transform of that name and version.
 */
export async function doTask(
  task: ThreadTask,
  lookup: (name: string, version: number) => Promise<Transform>,
): Promise<ThreadAnswer> {
  const { life } = task;
  let pulse: NodeJS.Timeout | undefined;
  try {
    const { name, version } = task.transform;
    const transform = await lookup(name, version);
    const beat = () => Atomics.add(life, LIFE.pulse, 1);
    beat();
    // It beats no more while code blocks the thread.
    pulse = setInterval(beat, PULSE_MS);
    return { kind: 'done', result: sendable(await derive(transform, task)) };
  } catch (error) {
    if (error instanceof TransformTooSlow) return { kind: 'too-slow' };
    const message = wordsOf(error);
    return { kind: error instanceof PrefetchFailed ? 'prefetch-failed' : 'failed', message };
  } finally {
    clearInterval(pulse);
    task.queries?.close();
    Atomics.store(life, LIFE.row, 0);
  }
}

function derive(transform: Transform, { work, life, doomed, queries }: ThreadTask) {
  const hooks: DeriveHooks = {
    prefetch: (rows) => prefetch(transform, rows, queries),
    before: (place) => {
      Atomics.store(life, LIFE.row, place + 1);
      return doomed.get(place);
    },
    between: slownessGuard(),
  };
  return work.kind === 'batch'
    ? deriveBatch(transform, work.shape, work.text, hooks)
    : deriveRows(transform, work.reads, work.written, work.rows, hooks);
}

async function prefetch(transform: Transform, rows: TransformRow[], port: MessagePort | undefined) {
  if (!port || rows.length === 0) return undefined;
  try {
    return await transform.prefetch?.(rows, queryThrough(port));
  } catch (error) {
    throw new PrefetchFailed(wordsOf(error));
  }
}

function queryThrough(port: MessagePort): ReadQuery {
  const waiting = new Map<number, (answer: QueryAnswer) => void>();
  port.on('message', (answer: QueryAnswer) => {
    waiting.get(answer.id)?.(answer);
    waiting.delete(answer.id);
  });
  let last = 0;
  return async <T>(text: string, values?: readonly unknown[]) => {
    last += 1;
    const id = last;
    const answered = new Promise<QueryAnswer>((resolve) => waiting.set(id, resolve));
    port.postMessage({ id, text, values } satisfies Query);
    const answer = await answered;
    if ('error' in answer) throw new Error(answer.error);
    return answer.rows.map(withBuffers) as T[];
  };
}

/** On their way to another thread buffers lose what Node adds to plain bytes. */
function withBuffers(row: Row): Row {
  for (const [name, value] of Object.entries(row)) {
    if (value instanceof Uint8Array) {
      row[name] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
  }
  return row;
}

/** What a transform gave or suggests may hold objects that cannot be sent, and is only looked at by people from here on. */
function sendable<T extends DerivedBatch | Derived[]>(result: T): T {
  for (const { outcome } of Array.isArray(result) ? result : result.setAside) {
    if (outcome.outcome === 'migrated') {
      outcome.given = decodeRow(outcome.columns, { cells: outcome.values });
    } else if (outcome.outcome === 'ambiguous' && outcome.suggestion !== undefined) {
      outcome.suggestion = JSON.parse(JSON.stringify(outcome.suggestion));
    }
  }
  return result;
}

/** The memory that goes along with the answer instead of being copied. */
export function memoryOf(answer: ThreadAnswer): ArrayBuffer[] {
  if (answer.kind !== 'done' || Array.isArray(answer.result)) return [];
  const { groups, unwritten } = answer.result;
  const rows = [...groups.map((group) => group.rows), { ...unwritten, values: [] }];
  return rows
    .flatMap(({ keys, versions, values }) => [...keys, versions, ...values])
    .map(({ buffer }) => buffer as ArrayBuffer);
}
