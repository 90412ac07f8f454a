import type { Session } from '../../target.ts';

/** How much WAL the server has ever written, and when that was read by its clock, in milliseconds. */
export type WalPosition = { bytes: number; at: number };

/** Rights: none. @throws on a standby, which writes none. */
export async function readWalPosition(session: Session): Promise<WalPosition> {
  const { rows } = await session.query<WalPosition>(
    `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes,
            (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at`,
  );
  const [found] = rows;
  if (!found) throw new Error('the server answered a query of one row with none');
  return found;
}
