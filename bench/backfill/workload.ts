import pg from 'pg';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';

/** What every form of the backfill computes; the same expression in SQL and, as `migrate`, in TypeScript. */
export const EXPRESSION = `jsonb_build_object('name', payload->>'name', 'city', payload->'address'->>'city', 'total', payload->'total')`;

/**
 * A server with the rows to migrate kept in a template, so that each measurement begins with the same table: freshly
 * written, analysed, without dead rows.
 */
export class Workload {
  readonly url: string;
  readonly rows: number;
  readonly client: pg.Client;

  constructor(url: string, rows: number) {
    this.url = url;
    this.rows = rows;
    this.client = new pg.Client({ connectionString: url });
  }

  /** Rows with a jsonb payload of about 300 bytes. */
  async create(): Promise<void> {
    await this.client.connect();
    await this.client.query(
      `CREATE UNLOGGED TABLE template AS
         SELECT n::bigint AS id,
                jsonb_build_object(
                  'name', 'Customer ' || n, 'total', (n % 10000) / 100.0,
                  'address', jsonb_build_object('city', 'City ' || n % 500, 'street', repeat(md5(n::text), 3)),
                  'note', repeat(md5((n * 7)::text), 3)) AS payload,
                NULL::jsonb AS migrated
           FROM generate_series(1, $1::bigint) AS n`.replace('$1', String(this.rows)),
    );
  }

  /** Makes `items` anew. */
  async reset(): Promise<void> {
    await this.client.query('DROP SCHEMA IF EXISTS cutover CASCADE');
    await this.client.query('DROP TABLE IF EXISTS items, items_new');
    await this.client.query('CREATE TABLE items AS SELECT * FROM template');
    await this.client.query('ALTER TABLE items ADD PRIMARY KEY (id)');
    await this.client.query('VACUUM (FREEZE, ANALYZE) items');
    await this.client.query('CHECKPOINT');
  }

  /** @throws Error when a row is not what the expression says: a figure of wrong work is no figure. */
  async verify(): Promise<void> {
    const { rows } = await this.client.query(
      `SELECT count(*)::int AS wrong FROM items WHERE migrated IS DISTINCT FROM ${EXPRESSION}`,
    );
    if (rows[0].wrong > 0)
      throw new Error(`${rows[0].wrong} of ${this.rows} rows were not migrated as they should`);
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

/** The phase that does this work, as a plan would have it. */
export function phase(over: Partial<Record<'batchSize' | 'undo' | 'transform', unknown>>): BackfillPhase {
  const plan = parsePlan({
    name: 'bench',
    target: 'app',
    phases: [
      {
        kind: 'backfill',
        name: 'fill',
        table: 'items',
        pointOfNoReturn: true,
        undo: { kind: 'none' },
        batchSize: 5_000,
        transform: { kind: 'sql', set: { migrated: EXPRESSION } },
        ...over,
      },
    ],
  });
  return plan.phases[0] as BackfillPhase;
}

/** Seconds that the work takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}
