import type { Measurement } from '../../../domain/gate-verdict.ts';
import type { Session } from '../../target.ts';

type Archive = {
  mode: string;
  segmentBytes: number;
  currentFile: string;
  /** Null before the first one since the statistics were reset. */
  lastArchived: string | null;
  mayList: boolean;
};

/**
 * WAL segments that are complete and not archived yet; none where nothing is archived. Counted from the last one that was
 * archived; where that is not known, by the files that say so.
 * Rights: none, but pg_monitor as long as the server has not archived anything since its statistics were reset.
 */
export async function measureArchiveBacklog(session: Session): Promise<Measurement> {
  const { rows } = await session.query<Archive>(ARCHIVE);
  const [archive] = rows;
  if (!archive || archive.mode === 'off') return { kind: 'value', value: 0 };
  const last = segmentNumber(archive.lastArchived ?? '', archive.segmentBytes);
  const current = segmentNumber(archive.currentFile, archive.segmentBytes);
  // The present segment is not complete.
  if (last !== undefined && current !== undefined)
    return { kind: 'value', value: Math.max(0, current - last - 1) };
  if (!archive.mayList) {
    const message =
      'the server has archived nothing since its statistics were reset, and the role may not list what waits; ' +
      'GRANT pg_monitor to it';
    return { kind: 'error', message };
  }
  const listed = await session.query<{ ready: number }>(READY_FILES);
  return { kind: 'value', value: listed.rows[0]?.ready ?? 0 };
}

/**
 * Counts the segments from the first that there ever was. A name is 8 hexadecimal digits each for the timeline, for every
 * 4 GiB of WAL and for the segment within them; backups and the last segment of a timeline have something after it.
 */
export function segmentNumber(file: string, segmentBytes: number): number | undefined {
  const match = /^[0-9A-F]{8}([0-9A-F]{8})([0-9A-F]{8})(\.|$)/.exec(file);
  const [high, low] = [match?.[1], match?.[2]];
  if (high === undefined || low === undefined) return undefined;
  return Number.parseInt(high, 16) * (2 ** 32 / segmentBytes) + Number.parseInt(low, 16);
}

const ARCHIVE = `
  SELECT current_setting('archive_mode') AS mode,
         (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')::float8 AS "segmentBytes",
         pg_walfile_name(pg_current_wal_lsn()) AS "currentFile",
         (SELECT last_archived_wal FROM pg_stat_archiver) AS "lastArchived",
         has_function_privilege('pg_ls_archive_statusdir()', 'EXECUTE') AS "mayList"`;

const READY_FILES = `SELECT count(*)::int AS ready FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'`;
