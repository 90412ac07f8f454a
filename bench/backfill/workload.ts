import pg from 'pg';
import type { BackfillPhase } from '../../src/domain/plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { PlanInput } from '../../src/plan/schema.ts';

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

  private constructor(url: string, rows: number) {
    this.url = url;
    this.rows = rows;
    this.client = new pg.Client({ connectionString: url });
  }

  /** Rows with a jsonb payload of about 300 bytes. */
  static async create(url: string, rows: number): Promise<Workload> {
    const workload = new Workload(url, rows);
    await workload.client.connect();
    await workload.client.query(
      `CREATE UNLOGGED TABLE IF NOT EXISTS template_${rows} AS
         SELECT n::bigint AS id,
                jsonb_build_object(
                  'name', 'Customer ' || n, 'total', (n % 10000) / 100.0,
                  'address', jsonb_build_object('city', 'City ' || n % 500, 'street', repeat(md5(n::text), 3)),
                  'note', repeat(md5((n * 7)::text), 3)) AS payload,
                NULL::jsonb AS migrated, 0 AS touched
           FROM generate_series(1, ${rows}) AS n`,
    );
    return workload;
  }

  /** Makes `items` anew, and an empty `items_new`. */
  async reset(): Promise<void> {
    const { client } = this;
    await client.query('DROP SCHEMA IF EXISTS cutover CASCADE');
    await client.query('DROP TABLE IF EXISTS items, items_new');
    await client.query(`CREATE TABLE items AS SELECT * FROM template_${this.rows}`);
    await client.query('ALTER TABLE items ADD PRIMARY KEY (id)');
    await client.query('CREATE TABLE items_new (id bigint PRIMARY KEY, migrated jsonb)');
    await client.query('VACUUM (FREEZE, ANALYZE) items');
    await client.query('CHECKPOINT');
  }

  /** @throws Error when a row is not what the expression says: a figure of wrong work is no figure. */
  async verify(table: 'items' | 'items_new' = 'items'): Promise<void> {
    const { rows } = await this.client.query(
      table === 'items'
        ? `SELECT count(*)::int AS wrong FROM items WHERE migrated IS DISTINCT FROM ${EXPRESSION}`
        : `SELECT count(*)::int AS wrong FROM items FULL JOIN items_new USING (id)
            WHERE items_new.migrated IS DISTINCT FROM ${EXPRESSION}`,
    );
    if (rows[0].wrong > 0)
      throw new Error(`${rows[0].wrong} of ${this.rows} rows were not migrated as they should`);
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

type BackfillInput = Extract<PlanInput['phases'][number], { kind: 'backfill' }>;

/** The plan that does this work: nothing but a backfill, which nothing slows down unless it says so. */
export function planOf(over: Partial<BackfillInput> = {}, name = 'bench'): PlanInput {
  return {
    name,
    target: 'app',
    phases: [
      {
        kind: 'backfill',
        name: 'fill',
        table: 'items',
        pointOfNoReturn: true,
        undo: { kind: 'none' },
        batchSize: 5_000,
        throttle: [],
        transform: { kind: 'sql', set: { migrated: EXPRESSION } },
        ...over,
      },
    ],
  };
}

export function phaseOf(over: Partial<BackfillInput> = {}): BackfillPhase {
  return parsePlan(planOf(over)).phases[0] as BackfillPhase;
}

/** Seconds that the work takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}
