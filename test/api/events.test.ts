import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readSse, type SseMessage } from '../../src/cli/sse.ts';
import { recordEvent } from '../../src/db/run-events.ts';
import { changeStatus, createRun } from '../../src/db/runs.ts';
import { uniqueName } from '../support/unique-name.ts';
import { until } from '../support/until.ts';
import { apiOver, startTestApi, TOKENS } from './test-api.ts';

let api: Awaited<ReturnType<typeof startTestApi>>;
let url: string;
const open: AbortController[] = [];
beforeAll(async () => {
  api = await startTestApi();
  url = await api.listen();
});
afterEach(() => {
  for (const stream of open.splice(0)) stream.abort();
});
afterAll(() => api?.close());

async function newRun(): Promise<string> {
  const id = uniqueName('run');
  const run = { id, planName: id, planVersion: 1, planHash: 'h', target: 'shop', startedBy: 'ana' };
  await createRun(api.db, { ...run, starterRole: 'operator' }, [{ name: 'fill', kind: 'backfill' }]);
  return id;
}

const note = (runId: string, message: string) =>
  recordEvent(api.db, { runId, type: 'note', phase: 'fill', message, data: { said: message } });

const finish = (runId: string) =>
  changeStatus(api.db, { runId, status: 'completed', reason: 'all done', phase: null, key: 'end' });

/** Opens the stream and collects what it sends. */
async function follow(runId: string, headers: Record<string, string> = {}, base = url) {
  const stop = new AbortController();
  open.push(stop);
  const response = await fetch(`${base}/api/runs/${runId}/events`, {
    headers: { authorization: `Bearer ${TOKENS[0]?.token}`, accept: 'text/event-stream', ...headers },
    signal: stop.signal,
  });
  const messages: SseMessage[] = [];
  const ended = (async () => {
    for await (const message of readSse(response.body ?? new ReadableStream())) messages.push(message);
  })();
  ended.catch(() => {});
  return {
    response,
    messages,
    ended,
    texts: () =>
      messages.filter(({ event }) => event === 'note').map(({ data }) => JSON.parse(data).message as string),
    disconnect: () => stop.abort(),
  };
}

test('a stream begins with what has happened and goes on with what happens', async () => {
  const run = await newRun();
  await note(run, 'before');
  const stream = await follow(run);
  expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
  await until(() => stream.texts().length === 1, { what: 'the first event' });
  await note(run, 'after');
  await until(() => stream.texts().length === 2, { what: 'the second event', deadlineMs: 2_000 });
  const [message] = stream.messages;
  expect(message).toMatchObject({ event: 'note', id: expect.stringMatching(/^\d+$/) });
  expect(JSON.parse(message?.data ?? '')).toEqual({
    at: expect.stringMatching(/Z$/),
    phase: 'fill',
    message: 'before',
    data: { said: 'before' },
  });
});

test("the stream ends after a final run's last event, with an end event", async () => {
  const run = await newRun();
  const stream = await follow(run);
  await note(run, 'last words');
  await finish(run);
  await stream.ended;
  expect(stream.messages.map(({ event }) => event)).toEqual(['note', 'run', 'end']);
  expect(JSON.parse(stream.messages.at(-1)?.data ?? '')).toEqual({ status: 'completed', reason: 'all done' });
  const again = await follow(run);
  await again.ended;
  expect(again.messages).toEqual(stream.messages.map((message) => ({ ...message })));
});

test('a watcher that comes back after a break sees every event once, in order, while others write', async () => {
  const run = await newRun();
  const total = 300;
  const writers = Array.from({ length: 3 }, async (_, writer) => {
    for (let n = 0; n < total / 3; n += 1) await note(run, `${writer}:${n}`);
  });
  const ids: number[] = [];
  const texts: string[] = [];
  let breaks = 0;
  for (let done = false; !done; ) {
    const last = ids.at(-1);
    const stream = await follow(run, last === undefined ? {} : { 'last-event-id': String(last) });
    const enough = texts.length + 40;
    await Promise.race([
      stream.ended,
      until(() => texts.length + stream.texts().length >= Math.min(enough, total), { what: 'some events' }),
    ]);
    stream.disconnect();
    breaks += 1;
    // What had arrived when the connection broke is what the watcher knows.
    for (const message of stream.messages) {
      if (message.event !== 'note') continue;
      ids.push(Number(message.id));
      texts.push(JSON.parse(message.data).message);
    }
    done = texts.length >= total;
  }
  await Promise.all(writers);
  expect(breaks).toBeGreaterThan(3);
  expect(texts).toHaveLength(total);
  expect(new Set(texts).size).toBe(total);
  expect(ids).toEqual([...ids].sort((a, b) => a - b));
});

test('a long history is sent whole', async () => {
  const run = await newRun();
  await api.db.pool.query(
    `INSERT INTO cutover_control.run_events (run_id, type, message)
     SELECT $1, 'note', n::text FROM generate_series(1, 1750) AS n`,
    [run],
  );
  await finish(run);
  const stream = await follow(run);
  await stream.ended;
  expect(stream.texts()).toEqual(Array.from({ length: 1_750 }, (_, n) => String(n + 1)));
});

test('an event whose notification was lost is found all the same', async () => {
  const run = await newRun();
  const stream = await follow(run);
  await api.db.pool.query(
    "INSERT INTO cutover_control.run_events (run_id, type, message) VALUES ($1, 'note', 'quiet')",
    [run],
  );
  await until(() => stream.texts().includes('quiet'), { what: 'the event without a notification' });
});

test('an id that is none of ours begins at the start; `after` does what the header does', async () => {
  const run = await newRun();
  await note(run, 'one');
  await note(run, 'two');
  await finish(run);
  const odd = await follow(run, { 'last-event-id': 'abc' });
  await odd.ended;
  expect(odd.texts()).toEqual(['one', 'two']);
  const page = await api.call('viewer', 'GET', `/api/runs/${run}/events?limit=1`, {
    headers: { accept: 'application/json' },
  });
  expect(page.body).toMatchObject({ events: [{ message: 'one', type: 'note' }], ended: false });
  const rest = await api.call('viewer', 'GET', `/api/runs/${run}/events?after=${page.body.next}`, {
    headers: { accept: 'application/json' },
  });
  expect(rest.body).toMatchObject({ events: [{ message: 'two' }, { type: 'run' }], ended: true });
});

test('a stream goes on when the connection to the database breaks', async () => {
  const run = await newRun();
  const stream = await follow(run);
  await note(run, 'before');
  await until(() => stream.texts().length === 1, { what: 'the first event' });
  await api.db.pool.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await until(() => note(run, 'after'), { what: 'the database to take events again' });
  await until(
    async () => {
      if (stream.texts().includes('after')) return true;
      // A stream that broke off is taken up where it stopped.
      const last = stream.messages.at(-1)?.id ?? '0';
      const next = await follow(run, { 'last-event-id': last });
      await until(() => next.texts().includes('after'), { what: 'the event', deadlineMs: 5_000 });
      return true;
    },
    { what: 'the event after the break' },
  );
});

test('closing the API ends open streams and finishes at once', async () => {
  const run = await newRun();
  const other = apiOver({ db: api.db, temporal: api.temporal }, api.databaseUrl);
  const stream = await follow(run, {}, await other.listen());
  await note(run, 'hello');
  await until(() => stream.texts().length === 1, { what: 'the first event' });
  const before = Date.now();
  await other.close();
  await stream.ended;
  expect(Date.now() - before).toBeLessThan(3_000);
});

test('a watcher who leaves is forgotten', async () => {
  let watching = 0;
  const { wakeups } = api.deps;
  const counted = {
    ...wakeups,
    subscribe(runId: string, wake: () => void) {
      watching += 1;
      const stop = wakeups.subscribe(runId, wake);
      return () => {
        watching -= 1;
        stop();
      };
    },
  };
  const other = apiOver({ db: api.db, temporal: api.temporal, wakeups: counted }, api.databaseUrl);
  try {
    const base = await other.listen();
    const run = await newRun();
    const streams = await Promise.all([1, 2, 3].map(() => follow(run, {}, base)));
    await until(() => watching === 3, { what: 'three watchers' });
    for (const stream of streams) stream.disconnect();
    await until(() => watching === 0, { what: 'no watcher' });
  } finally {
    await other.close();
  }
});
