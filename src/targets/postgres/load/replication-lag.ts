import { formatMs } from '../../../domain/duration.ts';
import type { Measurement } from '../../../domain/gate-verdict.ts';
import { plural } from '../../../domain/plural.ts';
import type { Session } from '../../target.ts';

type Standby = {
  name: string;
  /** Null to a role that may not see it. */
  state: string | null;
  behind: number | null;
  lagMs: number | null;
  silentMs: number | null;
};

/** A standby answers every 10 s, unless configured otherwise, and at once when it has written something. */
const SILENT_MS = 15_000;

/**
 * How far the last standby is behind in replaying, in milliseconds. One that has replayed all there is has no lag, however
 * old the server's last figure for it is. Base backups, WAL receivers that replay nothing and logical subscribers are no
 * standbys.
 * Rights: pg_monitor, where there are standbys.
 * @param replicas that must be connected.
 */
export async function measureReplicationLag(session: Session, replicas: number): Promise<Measurement> {
  const { rows } = await session.query<Standby>(STANDBYS);
  const hidden = rows.find(({ state }) => state === null);
  if (hidden) {
    const message = 'the role may not see the state of standbys; GRANT pg_monitor to it';
    return { kind: 'error', message };
  }
  const standbys = rows.filter(({ behind }) => behind !== null);
  if (standbys.length < replicas) {
    const message = `${plural(standbys.length, 'standby is', 'standbys are')} connected, ${replicas} wanted`;
    return { kind: 'error', message };
  }
  const trouble = standbys.map(troubleOf).find((text) => text !== undefined);
  if (trouble !== undefined) return { kind: 'error', message: trouble };
  return { kind: 'value', value: Math.max(0, ...standbys.map(({ lagMs }) => lagMs ?? 0)) };
}

/** While it catches up with WAL of the past, lag is measured from when that was sent, not from when it was written. */
function troubleOf({ name, state, behind, silentMs }: Standby): string | undefined {
  if (state === 'catchup') return `standby "${name}" is catching up, ${behind} bytes behind`;
  if (silentMs !== null && silentMs > SILENT_MS)
    return `standby "${name}" has not answered for ${formatMs(silentMs)}`;
  return undefined;
}

const STANDBYS = `
  SELECT application_name AS name, state,
         pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS behind,
         CASE WHEN replay_lsn < pg_current_wal_lsn() THEN extract(epoch FROM replay_lag) * 1000 END::float8 AS "lagMs",
         CASE WHEN replay_lsn < pg_current_wal_lsn()
              THEN extract(epoch FROM clock_timestamp() - reply_time) * 1000 END::float8 AS "silentMs"
    FROM pg_stat_replication
   WHERE (state IS NULL OR state IN ('streaming', 'catchup'))
     AND NOT EXISTS (SELECT FROM pg_replication_slots WHERE active_pid = pid AND slot_type = 'logical')`;
