import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import {
  appendEvent,
  type EventWakeups,
  listEvents,
  listenForEvents,
  recordEvent,
} from '../../src/db/run-events.ts';
import { uniqueName } from '../support/unique-name.ts';
import { until } from '../support/until.ts';
import { useControlDatabase } from './control-database.ts';

const control = useControlDatabase();
const opened: EventWakeups[] = [];
afterEach(async () => {
  for (const wakeups of opened.splice(0)) await wakeups.close();
});

function listen(): EventWakeups {
  const wakeups = listenForEvents(control.url);
  opened.push(wakeups);
  return wakeups;
}

const note = (runId: string, message: string, key?: string) =>
  recordEvent(control.db, { runId, type: 'note', message, ...(key ? { key } : {}) });

test('the same key again is the same event, within its run', async () => {
  const [run, other] = [uniqueName('run'), uniqueName('run')];
  expect(await Promise.all([1, 2, 3].map(() => note(run, 'once', 'key')))).toContain(true);
  expect(await note(run, 'once more', 'key')).toBe(false);
  expect(await note(other, 'elsewhere', 'key')).toBe(true);
  expect(await listEvents(control.db, run, 0)).toMatchObject([{ message: 'once' }]);
});

test('what PostgreSQL cannot keep is replaced, so that no record is refused for ever', async () => {
  const run = uniqueName('run');
  const data = { nul: 'a\0b', half: 'a\ud800b', pair: '\u{1f600}', spelled: '\\u0000' };
  await recordEvent(control.db, { runId: run, type: 'note', message: 'a\0b \ud800', data });
  expect(await listEvents(control.db, run, 0)).toMatchObject([
    { message: 'a\ufffdb \ufffd', data: { ...data, nul: 'a\ufffdb', half: 'a\ufffdb' } },
  ]);
  expect(await listEvents(control.db, 'no\0run', 0)).toEqual([]);
});

test('an event is never seen after one with a higher id, however long its transaction takes', async () => {
  const run = uniqueName('run');
  let letSlowCommit = () => {};
  const slowMayCommit = new Promise<void>((resolve) => {
    letSlowCommit = resolve;
  });
  let slowHasWritten = () => {};
  const slowWrote = new Promise<void>((resolve) => {
    slowHasWritten = resolve;
  });
  const slow = control.db.query.transaction(async (tx) => {
    await appendEvent(tx, { runId: run, type: 'note', message: 'slow' });
    slowHasWritten();
    await slowMayCommit;
  });
  await slowWrote;
  const fast = note(run, 'fast');
  await until(
    async () => {
      const { rows } = await control.db.pool.query(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
      return rows.length > 0;
    },
    { what: 'the fast writer to wait for the slow one' },
  );
  expect(await listEvents(control.db, run, 0)).toEqual([]);
  letSlowCommit();
  await Promise.all([slow, fast]);
  expect((await listEvents(control.db, run, 0)).map(({ message }) => message)).toEqual(['slow', 'fast']);
});

test('a reader that follows by id misses nothing of many writers', async () => {
  const run = uniqueName('run');
  const total = 200;
  let writing = true;
  const seen: number[] = [];
  const reader = (async () => {
    for (;;) {
      const last = !writing;
      const events = await listEvents(control.db, run, seen.at(-1) ?? 0, 7);
      seen.push(...events.map(({ id }) => id));
      if (last && events.length === 0) return;
    }
  })();
  await Promise.all(
    Array.from({ length: 5 }, async (_, writer) => {
      for (let n = 0; n < total / 5; n += 1) await note(run, `${writer}/${n}`);
    }),
  );
  writing = false;
  await reader;
  expect(seen).toHaveLength(total);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
});

test('watchers are woken by events of their own run only', async () => {
  const wakeups = listen();
  const [mine, other] = [uniqueName('run'), uniqueName('run')];
  let woken = 0;
  let otherWoken = 0;
  const stop = wakeups.subscribe(mine, () => {
    woken += 1;
  });
  wakeups.subscribe(other, () => {
    otherWoken += 1;
  });
  // Every watcher is woken once when the listener connects.
  await until(() => woken > 0 && otherWoken > 0, { what: 'the listener to connect' });
  const before = otherWoken;
  const atStart = woken;
  await note(mine, 'hello');
  await until(() => woken > atStart, { what: 'the watcher to be woken' });
  expect(otherWoken).toBe(before);
  stop();
  const stopped = woken;
  await note(mine, 'nobody listens');
  await note(other, 'somebody does');
  await until(() => otherWoken > before, { what: 'the other watcher to be woken' });
  expect(woken).toBe(stopped);
});

test('a listener whose connection is cut comes back and wakes everybody', async () => {
  const wakeups = listen();
  const run = uniqueName('run');
  let woken = 0;
  wakeups.subscribe(run, () => {
    woken += 1;
  });
  await until(() => woken > 0, { what: 'the listener to connect' });
  const before = woken;
  const admin = new pg.Client({ connectionString: control.url });
  await admin.connect();
  try {
    await admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cutover-events' AND datname = current_database()",
    );
  } finally {
    await admin.end();
  }
  await until(() => woken > before, { what: 'the listener to come back' });
  const back = woken;
  await note(run, 'after the cut');
  await until(() => woken > back, { what: 'a wakeup over the new connection' });
});

test('a listener closes while its server is away', async () => {
  const wakeups = listenForEvents('postgresql://127.0.0.1:1/nowhere');
  await expect(wakeups.close()).resolves.toBeUndefined();
});
