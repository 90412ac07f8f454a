import pg from 'pg';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { openPace } from '../../src/engine/load/pace.ts';
import { TransformRegistry } from '../../src/engine/transform/transform.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { migrate } from './transform.ts';
import { EXPRESSION, phaseOf, seconds, type Workload } from './workload.ts';

/** A way to migrate the workload's rows; returns the seconds that it took. */
export type Form = { name: string; into?: 'items_new'; run(workload: Workload): Promise<number> };

export const singleUpdate: Form = {
  name: 'one single UPDATE',
  run: ({ client }) => seconds(() => client.query(`UPDATE items SET migrated = ${EXPRESSION}`)),
};

export const singleInsert: Form = {
  name: 'one single INSERT … SELECT',
  into: 'items_new',
  run: ({ client }) =>
    seconds(() => client.query(`INSERT INTO items_new (id, migrated) SELECT id, ${EXPRESSION} FROM items`)),
};

/** What a careful person writes by hand: keyset batches of prepared statements with a checkpoint, and no more. */
export const bareLoop: Form = {
  name: 'bare loop of the same statements, 1 connection',
  run: (workload) => bareLoops(workload, 1),
};

/** What the machine has to give to two connections, whoever uses them. */
export const bareLoops2: Form = {
  name: 'bare loops of the same statements, 2 connections',
  run: (workload) => bareLoops(workload, 2),
};

/** Each loop on a connection of its own, over its share of the keys. */
async function bareLoops({ client, url, rows }: Workload, loops: number): Promise<number> {
  await client.query('CREATE SCHEMA cutover; CREATE TABLE cutover.cursor (loop int PRIMARY KEY, at bigint)');
  const clients = Array.from({ length: loops }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((one) => one.connect()));
  try {
    return await seconds(() =>
      Promise.all(clients.map((one, i) => loop(one, i, (rows * i) / loops, (rows * (i + 1)) / loops))),
    );
  } finally {
    await Promise.all(clients.map((one) => one.end()));
  }
}

async function loop(client: pg.Client, number: number, from: number, to: number): Promise<void> {
  await client.query('INSERT INTO cutover.cursor VALUES ($1, $2)', [number, Math.round(from)]);
  for (let after = String(Math.round(from)); ; ) {
    await client.query('BEGIN');
    const { rows } = await client.query({
      name: 'batch-end',
      text: `SELECT max(id) AS upto
               FROM (SELECT id FROM items WHERE id > $1 AND id <= $2 ORDER BY id LIMIT 5000) AS batch`,
      values: [after, Math.round(to)],
    });
    const upTo = rows[0].upto;
    if (upTo === null) break;
    await client.query({
      name: 'batch',
      text: `UPDATE items SET migrated = ${EXPRESSION} WHERE id > $1 AND id <= $2`,
      values: [after, upTo],
    });
    await client.query({
      name: 'cursor',
      text: 'UPDATE cutover.cursor SET at = $2 WHERE loop = $1',
      values: [number, upTo],
    });
    await client.query('COMMIT');
    after = upTo;
  }
  await client.query('COMMIT');
}

const insert = {
  kind: 'insert' as const,
  into: 'items_new',
  values: { id: 'id', migrated: EXPRESSION },
  identifiedBy: ['id'],
};
const registered = { kind: 'registered', name: 'bench', version: 1 } as const;

/** The engine by itself, without Temporal, on so many lanes of one process; batches steered by time, as activities do. */
function engine(name: string, lanes: number, over: Parameters<typeof phaseOf>[0] = {}): Form {
  return {
    name: `engine, ${name}, ${lanes} ${lanes === 1 ? 'connection' : 'connections'}`,
    ...(over.transform?.kind === 'insert' ? { into: 'items_new' as const } : {}),
    run: async ({ url }) => {
      const target = createPostgresTarget({ name: 'app', url, poolSize: 8 });
      const job = { runId: 'bench', phase: phaseOf(over), transforms: new TransformRegistry([migrate]) };
      const work = async (lane: number) => {
        const pace = openPace(target, job, { direction: 'forward', lanes });
        const claimant = { lane: `lane-${lane}`, since: Date.now() };
        await runSlice(target, job, { claimant, pace }).finally(() => pace.close());
      };
      try {
        return await seconds(() => Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane))));
      } finally {
        await target.close();
      }
    },
  };
}

export const ENGINE_FORMS = {
  sql1: engine('SQL UPDATE', 1),
  sql2: engine('SQL UPDATE', 2),
  sql4: engine('SQL UPDATE', 4),
  journal: engine('SQL UPDATE with journal', 1, { undo: { kind: 'journal' } }),
  insert1: engine('INSERT … SELECT', 1, { transform: insert }),
  insert2: engine('INSERT … SELECT', 2, { transform: insert }),
  typescript1: engine('TypeScript', 1, { transform: registered }),
  typescript2: engine('TypeScript', 2, { transform: registered }),
} satisfies Record<string, Form>;
