import type { FlagState } from '../domain/flag-state.ts';
import type { FlagStore } from './flag-store.ts';

/** What the store needs of a database; a target is one. */
export interface FlagDatabase {
  transaction<T>(
    options: {
      readOnly?: boolean | undefined;
      lockTimeoutMs?: number | undefined;
      statementTimeoutMs?: number | undefined;
      signal?: AbortSignal | undefined;
    },
    work: (session: FlagSession) => Promise<T>,
  ): Promise<T>;
}

interface FlagSession {
  query<T>(text: string, values?: readonly unknown[]): Promise<{ rows: T[] }>;
}

const LIMITS = { lockTimeoutMs: 5_000, statementTimeoutMs: 10_000 };
const NEEDED_COLUMNS = ['name', 'enabled', 'rollout_percentage'];
const NAMES_SHOWN = 20;

/**
 * Flags in a table of the application, one row each: `name`, `enabled`, `rollout_percentage` (an integer or a numeric) and,
 * if there is one, `updated_at`, which is set to the time of each write.
 * @param table as SQL spells it: with or without its schema, quoted or not.
 */
export function createTableFlagStore(
  database: FlagDatabase,
  table: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): FlagStore {
  const limits = { ...LIMITS, signal };
  return {
    read: (name) =>
      database.transaction({ ...limits, readOnly: true }, async (session) => {
        const { quotedName } = await describe(session, table);
        return await select(session, quotedName, name);
      }),
    write: (name, state) =>
      database.transaction(limits, async (session) =>
        update(session, await describe(session, table), name, state),
      ),
  };
}

type FlagTable = { quotedName: string; columns: Map<string, string> };
type FlagRow = { enabled: boolean | null; percentage: string | number | null };

async function select(session: FlagSession, table: string, name: string): Promise<FlagState | undefined> {
  const { rows } = await session.query<FlagRow>(
    `SELECT enabled, rollout_percentage AS percentage FROM ${table} WHERE name = $1`,
    [name],
  );
  return rows[0] && onlyState(rows, table, name);
}

async function update(
  session: FlagSession,
  { quotedName, columns }: FlagTable,
  name: string,
  state: FlagState,
): Promise<FlagState> {
  if (!(state.percentage >= 0 && state.percentage <= 100)) {
    throw new RangeError(`flag "${name}": ${state.percentage} is no percentage; it goes from 0 to 100`);
  }
  const present = await select(session, quotedName, name);
  if (!present) throw await unknownFlag(session, quotedName, name);
  if (present.enabled === state.enabled && present.percentage === state.percentage) return present;

  const touch = columns.has('updated_at') ? ', updated_at = now()' : '';
  const { rows } = await session.query<FlagRow>(
    `UPDATE ${quotedName} SET enabled = $2, rollout_percentage = $3::numeric${touch} WHERE name = $1
     RETURNING enabled, rollout_percentage AS percentage`,
    [name, state.enabled, state.percentage],
  );
  if (rows.length === 0) {
    throw new Error(
      `flag "${name}" of ${quotedName} can be seen but not changed; ` +
        'a row-level security policy lacks the role that the target connects with',
    );
  }
  const written = onlyState(rows, quotedName, name);
  if (written.percentage !== state.percentage) {
    throw new Error(
      `flag "${name}": column rollout_percentage of ${quotedName} is ${columns.get('rollout_percentage')} and would hold ` +
        `${written.percentage} instead of ${state.percentage}; make it numeric, or use a percentage that it can hold`,
    );
  }
  return written;
}

function onlyState(rows: FlagRow[], table: string, name: string): FlagState {
  const [row] = rows;
  if (rows.length !== 1 || !row) {
    throw new Error(`${table} has ${rows.length} flags named "${name}"; make the name unique`);
  }
  return { enabled: row.enabled === true, percentage: Number(row.percentage) };
}

async function unknownFlag(session: FlagSession, table: string, name: string): Promise<Error> {
  const { rows } = await session.query<{ name: string }>(
    `SELECT name FROM ${table} ORDER BY name LIMIT ${NAMES_SHOWN + 1}`,
  );
  const names = rows.slice(0, NAMES_SHOWN).map((row) => row.name);
  const more = rows.length > NAMES_SHOWN ? ', …' : '';
  const existing =
    names.length > 0
      ? `it has ${names.join(', ')}${more}`
      : 'it has none, or row-level security hides them from the role that the target connects with';
  return new Error(
    `there is no flag "${name}" in ${table}; ${existing}. Add the row, or correct the name in the plan`,
  );
}

/** @throws Error when the table, or a column that a flag needs, is missing. */
async function describe(session: FlagSession, table: string): Promise<FlagTable> {
  const { rows } = await session.query<{ quotedName: string; column: string; type: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS "quotedName", a.attname::text AS column,
            format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE c.oid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped`,
    [table],
  );
  const [first] = rows;
  if (!first) throw new Error(`there is no table ${table} to hold flags; check its spelling and its schema`);
  const columns = new Map(rows.map(({ column, type }) => [column, type]));
  const missing = NEEDED_COLUMNS.filter((column) => !columns.has(column));
  if (missing.length > 0) {
    throw new Error(
      `the table ${first.quotedName} cannot hold flags: it has no column ${missing.join(', ')}; ` +
        `a flag needs ${NEEDED_COLUMNS.join(', ')}`,
    );
  }
  return { quotedName: first.quotedName, columns };
}
