import { classifySqlError } from '../../src/targets/postgres/errors.ts';
import type { HeldSession, Session, Target } from '../../src/targets/target.ts';
import type { Bench } from './harness.ts';

/**
 * What can happen to a worker between two statements: its connection is killed, the server refuses the statement for a
 * passing reason, another lane takes its range over, or the process is gone without a word.
 */
export const FAULTS = ['kill', 'deadlock', 'serialization', 'timeout', 'lock', 'steal', 'death'] as const;
export type Fault = (typeof FAULTS)[number];

const SQLSTATE: Partial<Record<Fault, string>> = {
  deadlock: '40P01',
  serialization: '40001',
  timeout: '57014',
  lock: '55P03',
};

/** The worker's process is gone: nobody hears of this error, and nothing is tidied up by the worker itself. */
export class Death extends Error {
  override name = 'Death';
}

/**
 * The target as a worker sees it to whom these faults happen: `next` is asked before each statement.
 * @param bench the same database, by a connection to which nothing happens.
 */
export function faultyTarget(target: Target, bench: Bench, next: () => Fault | undefined): Target {
  const faulty = <S extends Session>(session: S): S => ({
    ...session,
    query: async <T>(text: string, values?: readonly unknown[]) => {
      // The server has a transaction that failed roll back, whatever happens meanwhile.
      const fault = text.startsWith('ROLLBACK') ? undefined : next();
      if (fault) await happen(session, fault);
      return session.query<T>(text, values);
    },
  });
  const happen = async (session: Session, fault: Fault) => {
    switch (fault) {
      case 'death':
        throw new Death();
      case 'kill': {
        const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await bench.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
        return;
      }
      case 'steal':
        await stealRanges(bench);
        return;
      default:
        // The server's own error, which ends the transaction as the real one does.
        await session.query(
          `DO $$ BEGIN RAISE EXCEPTION 'injected' USING ERRCODE = '${SQLSTATE[fault]}'; END $$`,
        );
    }
  };
  return {
    ...target,
    session: (options, work) => target.session(options, (session) => work(faulty(session))),
    transaction: (options, work) => target.transaction(options, (session) => work(faulty(session))),
    hold: (options, work) =>
      target.hold(options, (held) => {
        const faultyHeld: HeldSession = {
          ...faulty(held),
          transaction: (inner) => held.transaction((session) => inner(faulty(session))),
        };
        return work(faultyHeld);
      }),
  };
}

/** Says before which statement the next fault happens; after the last one nothing happens any more. */
export function schedule(faults: readonly { after: number; fault: Fault }[]): () => Fault | undefined {
  const left = [...faults];
  let statements = 0;
  return () => {
    const [next] = left;
    if (!next) return undefined;
    statements += 1;
    if (statements <= next.after) return undefined;
    statements = 0;
    left.shift();
    return next.fault;
  };
}

/** A worker that is started again whatever happens to it, as Temporal does; true when it says that all is done. */
export async function attempt(work: () => Promise<{ done: boolean }>): Promise<boolean> {
  try {
    return (await work()).done;
  } catch (error) {
    if (error instanceof Death || classifySqlError(error) === 'retryable') return false;
    throw error;
  }
}

/** Whoever holds a lock on a range is about to commit and can't be overtaken any more. */
async function stealRanges(bench: Bench): Promise<void> {
  const [table] = await bench.sql<{ there: boolean }>(
    `SELECT to_regclass('cutover.range') IS NOT NULL AS there`,
  );
  if (!table?.there) return;
  await bench.sql(
    `UPDATE cutover.range SET fence = fence + 1, claimed_until = NULL
      WHERE (backfill, number) IN (SELECT backfill, number FROM cutover.range
                                    WHERE claimed_until < 'infinity' FOR UPDATE SKIP LOCKED)`,
  );
}
