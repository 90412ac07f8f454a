import pg from 'pg';
import type { Bench } from '../harness.ts';

export type Application = {
  /** Resolves when so many more transactions have been committed. */
  progress(transactions: number): Promise<void>;
  /** Ends the writers. @throws the first error that a write ended with: an application has none, whatever Cutover does. */
  stop(): Promise<{ transactions: number }>;
};

/** One transaction of an application. */
export type Write = (client: pg.PoolClient) => Promise<unknown>;

/** Some connections that write all the time. What PostgreSQL asks to try again is tried again. */
export function startApplication(bench: Bench, write: Write, connections = 3): Application {
  const pool = new pg.Pool({ connectionString: bench.url, max: connections });
  let stopped = false;
  let transactions = 0;
  let wake: () => void = () => {};
  const writer = async () => {
    const client = await pool.connect();
    try {
      while (!stopped) {
        await client.query('BEGIN');
        try {
          await write(client);
          await client.query('COMMIT');
          transactions += 1;
        } catch (error) {
          await client.query('ROLLBACK');
          if (!(error instanceof pg.DatabaseError && ['40P01', '23505'].includes(error.code ?? '')))
            throw error;
        }
        wake();
      }
    } finally {
      client.release();
    }
  };
  const writers = Promise.all(Array.from({ length: connections }, writer));
  writers.catch(() => wake());
  return {
    progress: async (more) => {
      const goal = transactions + more;
      while (transactions < goal && !stopped) {
        await Promise.race([writers, new Promise<void>((resolve) => (wake = resolve))]);
      }
    },
    stop: async () => {
      stopped = true;
      await writers;
      await pool.end();
      return { transactions };
    },
  };
}

const random = (below: number) => Math.floor(Math.random() * below);

/** What an application does to a table (id int, old text, …): inserts, updates, deletes and, unless told otherwise, changes of keys. */
export function writeAtRandom(keys: number, { moves = true } = {}): Write {
  return async (client) => {
    const id = random(keys);
    switch (random(10)) {
      case 0:
        return client.query('DELETE FROM t WHERE id = $1', [id]);
      case 1:
        return client.query('UPDATE t SET id = $2 WHERE id = $1', [id, moves ? random(keys) : id]);
      case 2:
      case 3:
        return client.query('INSERT INTO t (id, old) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
          id,
          random(1000),
        ]);
      case 4:
        return client.query(`UPDATE t SET old = $2 WHERE id BETWEEN $1 AND $1 + 20`, [id, random(1000)]);
      case 5:
        // A row on which the transform fails, until somebody writes it again.
        return client.query(`UPDATE t SET old = 'poison' WHERE id = $1`, [id]);
      default:
        return client.query('UPDATE t SET old = $2 WHERE id = $1', [id, random(1000)]);
    }
  };
}
