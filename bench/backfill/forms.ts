import { runSlice } from '../../src/engine/backfill.ts';
import { TransformRegistry } from '../../src/engine/transform.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import { migrate } from './transform.ts';
import { EXPRESSION, phase, seconds, type Workload } from './workload.ts';

/** A way to migrate the workload's rows. */
export type Form = { name: string; run(workload: Workload): Promise<void> };

export const singleStatement: Form = {
  name: 'one single UPDATE',
  run: async ({ client }) => {
    await client.query(`UPDATE items SET migrated = ${EXPRESSION}`);
  },
};

/** What a careful person writes by hand: keyset batches of prepared statements, and no more. */
export const bareLoop: Form = {
  name: 'bare loop of the same statements, 1 connection',
  run: async ({ client }) => {
    for (let after = '0'; ; ) {
      const { rows } = await client.query({
        name: 'batch-end',
        text: 'SELECT max(id) AS upto FROM (SELECT id FROM items WHERE id > $1 ORDER BY id LIMIT 5000) AS batch',
        values: [after],
      });
      const upTo = rows[0].upto;
      if (upTo === null) return;
      await client.query({
        name: 'batch',
        text: `UPDATE items SET migrated = ${EXPRESSION} WHERE id > $1 AND id <= $2`,
        values: [after, upTo],
      });
      after = upTo;
    }
  },
};

/** The engine by itself, without Temporal. */
export function engine(name: string, over: Parameters<typeof phase>[0] = {}): Form {
  return {
    name,
    run: async ({ url }) => {
      const target = createPostgresTarget({ name: 'app', url, poolSize: 4 });
      try {
        const job = { runId: 'bench', phase: phase(over), transforms: new TransformRegistry([migrate]) };
        await runSlice(target, job);
      } finally {
        await target.close();
      }
    },
  };
}

/** Rows per second of the form, over a table made anew; checks that it did the work. */
export async function rowsPerSecond(form: Form, workload: Workload): Promise<number> {
  await workload.reset();
  const took = await seconds(() => form.run(workload));
  await workload.verify();
  return workload.rows / took;
}
