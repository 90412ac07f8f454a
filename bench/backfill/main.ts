import { join } from 'node:path';
import { loadConfig } from '../../src/config.ts';
import { startPostgres } from '../../src/dev/postgres.ts';
import { type BenchRow, median, row } from '../support/report.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { bareLoop, bareLoops2, ENGINE_FORMS, type Form, singleInsert, singleUpdate } from './forms.ts';
import { benchOltp } from './oltp.ts';
import { installedPeers } from './peers.ts';
import { type DurableRun, DurableRuns } from './temporal.ts';
import { benchVerify } from './verify.ts';
import { planOf, Workload } from './workload.ts';

export type BackfillOptions = { rows: number; repeat: number; say: (line: string) => void };

/** Enough memory and WAL that the disk's own rhythm does not decide; durable as in production. */
const SETTINGS = {
  shared_buffers: '2GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '30min',
  autovacuum: 'off',
};
const SMALL = 10;

/** All figures of the backfill engine, on one server; ratios compare what was measured in the same run. */
export async function benchBackfill({ rows, repeat, say }: BackfillOptions): Promise<BenchRow[]> {
  const directory = temporaryDirectory();
  const postgres = await startPostgres({ dir: join(directory.path, 'postgres'), say, settings: SETTINGS });
  try {
    const durable = await DurableRuns.start(directory.path, postgres, say);
    const workload = await Workload.create(await postgres.database('bench'), rows);
    try {
      const peers = installedPeers(directory.path, loadConfig().environment.PATH ?? '');
      const speeds = await measureSpeeds({ workload, durable, peers }, repeat, say);
      const batches = await countEvents(workload, durable);
      const small = await Workload.create(workload.url, Math.ceil(rows / SMALL));
      const memory = await measureMemory({ small, large: workload }, durable, say);
      await small.close();
      return [
        ...speedRows(speeds, batches),
        ...peerRows(speeds, peers),
        ...memory,
        ...(await benchVerify(workload, repeat, say)),
        ...(await benchOltp(workload, durable, say)),
      ];
    } finally {
      await workload.close();
      await durable.close();
    }
  } finally {
    await postgres.stop();
    directory.remove();
  }
}

const FORMS = { singleUpdate, bareLoop, bareLoops2, ...ENGINE_FORMS, singleInsert } satisfies Record<
  string,
  Form
>;
type Key = keyof typeof FORMS | 'temporal1' | 'temporal2';
/** Rows per second by form. */
type Speeds = (form: Key | (string & {})) => number;

/** Each form in turn, round by round, so that a slow moment of the machine hits all alike; medians in rows per second. */
async function measureSpeeds(
  { workload, durable, peers }: { workload: Workload; durable: DurableRuns; peers: Form[] },
  repeat: number,
  say: (line: string) => void,
): Promise<Speeds> {
  const figures = new Map<string, number[]>();
  const note = (round: number, key: string, name: string, took: number) => {
    const rate = workload.rows / took;
    figures.set(key, [...(figures.get(key) ?? []), rate]);
    say(`round ${round}: ${name}: ${Math.round(rate).toLocaleString('en')} rows/s`);
  };
  // The first write of its kind pays for WAL files that the others find made.
  await workload.reset();
  await singleUpdate.run(workload);
  const forms = [...Object.entries<Form>(FORMS), ...peers.map((peer) => [peer.name, peer] as const)];
  for (let round = 1; round <= repeat; round += 1) {
    for (const [key, form] of forms) {
      await workload.reset();
      note(round, key, form.name, await form.run(workload));
      if (!peers.includes(form)) await workload.verify(form.into);
    }
    for (const lanes of [1, 2]) {
      const run = await runDurably(workload, durable, { parallelism: lanes });
      note(round, `temporal${lanes}`, `SQL UPDATE through Temporal, ${lanes} connections`, run.seconds);
    }
  }
  return (form) => median(figures.get(form) ?? []);
}

async function runDurably(
  workload: Workload,
  durable: DurableRuns,
  over: Parameters<typeof planOf>[0],
): Promise<DurableRun & { peakMemory: number }> {
  await workload.reset();
  const worker = await durable.startWorker(workload.url);
  try {
    const run = await durable.run(planOf(over));
    await workload.verify();
    return { ...run, peakMemory: worker.peakMemory() };
  } finally {
    await worker.stop();
  }
}

/** History events with batches of the usual size, and with ten times as many of them. */
async function countEvents(
  workload: Workload,
  durable: DurableRuns,
): Promise<{ usual: number; tenfold: number }> {
  const events = async (batchSize: number) =>
    (await runDurably(workload, durable, { batchSize, maxBatchSize: batchSize })).historyEvents;
  return { usual: await events(5_000), tenfold: await events(500) };
}

function peerRows(speeds: Speeds, peers: Form[]): BenchRow[] {
  return peers.map(({ name }) =>
    row(`SQL UPDATE through Temporal, 2 connections, against ${name}`, speeds(name), 'rows/s', {
      ratio: speeds('temporal2') / speeds(name),
      goal: '>= 3',
    }),
  );
}

const registered = { kind: 'registered', name: 'bench', version: 1 } as const;

async function measureMemory(
  { small, large }: { small: Workload; large: Workload },
  durable: DurableRuns,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const [name, over] of Object.entries({ SQL: {}, TypeScript: { transform: registered } })) {
    const few = await runDurably(small, durable, over);
    const many = await runDurably(large, durable, over);
    const megabytes = many.peakMemory / 1e6;
    say(
      `memory, ${name}: ${few.peakMemory / 1e6} MB for ${small.rows} rows, ${megabytes} MB for ${large.rows}`,
    );
    rows.push(
      row(`worker's peak memory, ${name}, at ${large.rows} against ${small.rows} rows`, megabytes, 'MB', {
        ratio: many.peakMemory / few.peakMemory,
        goal: '<= 1.1',
      }),
    );
  }
  return rows;
}

function speedRows(speed: Speeds, events: { usual: number; tenfold: number }): BenchRow[] {
  const rate = (name: string, key: Key, against?: Key, goal?: string) =>
    row(name, speed(key), 'rows/s', {
      ...(against ? { ratio: speed(key) / speed(against) } : {}),
      ...(goal ? { goal } : {}),
    });
  const update = 'against one single UPDATE';
  const insert = 'against one single INSERT … SELECT';
  return [
    rate('one single UPDATE', 'singleUpdate'),
    rate(`bare loop of batches, 1 connection, ${update}`, 'bareLoop', 'singleUpdate'),
    rate(`bare loops of batches, 2 connections, ${update}`, 'bareLoops2', 'singleUpdate'),
    rate('engine, SQL UPDATE, 1 connection, against the bare loop', 'sql1', 'bareLoop'),
    rate(`engine, SQL UPDATE, 1 connection, ${update}`, 'sql1', 'singleUpdate'),
    rate(`engine, SQL UPDATE, 2 connections, ${update}`, 'sql2', 'singleUpdate'),
    rate(`engine, SQL UPDATE, 4 connections, ${update}`, 'sql4', 'singleUpdate'),
    rate(`SQL UPDATE through Temporal, 1 connection, ${update}`, 'temporal1', 'singleUpdate', '>= 0.97'),
    rate(`SQL UPDATE through Temporal, 2 connections, ${update}`, 'temporal2', 'singleUpdate', '>= 1.6'),
    rate('SQL UPDATE through Temporal against bare loops, 2 connections', 'temporal2', 'bareLoops2'),
    rate('through Temporal, 1 connection, against the bare engine', 'temporal1', 'sql1', '>= 0.97'),
    rate('one single INSERT … SELECT', 'singleInsert'),
    rate(`engine, INSERT … SELECT, 1 connection, ${insert}`, 'insert1', 'singleInsert', '>= 0.97'),
    rate(`engine, INSERT … SELECT, 2 connections, ${insert}`, 'insert2', 'singleInsert', '>= 1.7'),
    rate(`TypeScript, 1 range, ${update}`, 'typescript1', 'singleUpdate', '>= 0.8'),
    rate(`TypeScript, 2 ranges, ${update}`, 'typescript2', 'singleUpdate', '>= 0.95'),
    rate('TypeScript, 1 range, against the SQL path', 'typescript1', 'sql1'),
    rate('journal on, against off', 'journal', 'sql1', '>= 0.55'),
    row('history events, batches of 5,000', events.usual, 'events', { goal: '<= 300' }),
    row('history events, ten times as many batches, against the usual', events.tenfold, 'events', {
      ratio: events.tenfold / events.usual,
      goal: '<= 1',
    }),
  ];
}
