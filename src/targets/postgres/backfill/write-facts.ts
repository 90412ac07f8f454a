import type { IndexFacts } from '../../../domain/forecast.ts';
import type { Session } from '../../target.ts';

/** Settings by which the server writes. */
export type ServerFacts = {
  fullPageWrites: boolean;
  walCompression: boolean;
  /** In bytes. */
  maxWalSize: number;
  /** In seconds. */
  checkpointTimeout: number;
};

export async function serverFacts(session: Session): Promise<ServerFacts> {
  const { rows } = await session.query<ServerFacts>(
    `SELECT current_setting('full_page_writes')::boolean AS "fullPageWrites",
            current_setting('wal_compression') <> 'off' AS "walCompression",
            pg_size_bytes(current_setting('max_wal_size'))::float8 AS "maxWalSize",
            extract(epoch FROM current_setting('checkpoint_timeout')::interval)::float8 AS "checkpointTimeout"`,
  );
  const facts = rows[0];
  if (!facts) throw new Error('the server did not say how it writes');
  return facts;
}

/**
 * The indexes of a table and its parts, as far as rows that are written cost anything in them.
 * @param key columns in whose order rows are written.
 * @param inOrder whether that is the order in which the rows lie on their pages as well.
 */
export async function indexFacts(
  session: Session,
  qualifiedName: string,
  { key, written, inOrder }: { key: readonly string[]; written: readonly string[]; inOrder: boolean },
): Promise<IndexFacts[]> {
  const { rows } = await session.query<IndexFacts>(INDEXES, [qualifiedName, key[0] ?? '', written, inOrder]);
  return rows;
}

/** With fewer rows, an index says nothing about what an entry takes; then the types of its columns do. */
const TELLING_ROWS = 1_000;
const WIDTH_OF_TEXT = 24;

/** BRIN keeps no entry per row. The size of a partial index says how many rows have an entry. */
const INDEXES = `
  SELECT CASE WHEN t.reltuples >= ${TELLING_ROWS} THEN pg_relation_size(i.indexrelid)::float8 / t.reltuples
              ELSE (12 + width) / 0.9 END AS "bytesPerRow",
         (pg_relation_size(i.indexrelid) / current_setting('block_size')::int)::float8 AS pages,
         NOT is_written AND (lead.attname = $2 OR $4 AND abs(coalesce(stats.correlation, 0)) > 0.9) AS "inKeyOrder",
         is_written AS "isWritten"
    FROM pg_index i
    JOIN pg_class t ON t.oid = i.indrelid
    JOIN pg_class index ON index.oid = i.indexrelid
    JOIN pg_am am ON am.oid = index.relam
    LEFT JOIN pg_attribute lead ON lead.attrelid = i.indrelid AND lead.attnum = i.indkey[0]
    LEFT JOIN pg_stats stats ON stats.schemaname = t.relnamespace::regnamespace::name AND stats.tablename = t.relname
                            AND stats.attname = lead.attname
    CROSS JOIN LATERAL (
      SELECT sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE ${WIDTH_OF_TEXT} END)::float8 AS width
        FROM pg_attribute a WHERE a.attrelid = i.indexrelid) AS entry
    CROSS JOIN LATERAL (
      SELECT EXISTS (
        SELECT FROM pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attname = ANY ($3::text[])
           AND (a.attnum = ANY (i.indkey) OR EXISTS (
             SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
      ) AS is_written) AS written
   WHERE i.indrelid IN (SELECT to_regclass($1)::oid UNION SELECT relid FROM pg_partition_tree(to_regclass($1)))
     AND t.relkind = 'r' AND i.indislive AND am.amname <> 'brin'
   ORDER BY i.indexrelid`;

const CALIBRATION_ROWS = 20_000;
/** CPU time of the calibration on the machine whose times `domain/forecast.ts` has, in milliseconds. */
const CALIBRATION_MS = 40;
const ATTEMPTS = 3;

/** How many times as long as on the machine that the forecast's times come from a computation takes here, now. */
export async function measureSlowness(session: Session): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ATTEMPTS; i += 1) {
    const begun = performance.now();
    await session.query(
      `SELECT count(*)
         FROM (SELECT md5(n::text) AS a, jsonb_build_object('n', n, 'text', n::text) AS b
                 FROM generate_series(1, ${CALIBRATION_ROWS}) AS n ORDER BY 1 OFFSET 0) AS x
        WHERE b ->> 'n' <> a`,
    );
    times.push(performance.now() - begun);
  }
  return median(times) / CALIBRATION_MS;
}

/** Microseconds that a statement takes which does nothing. */
export async function measureRoundTrip(session: Session): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ATTEMPTS * 3; i += 1) {
    const begun = performance.now();
    await session.query('SELECT');
    times.push(performance.now() - begun);
  }
  return median(times) * 1_000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
