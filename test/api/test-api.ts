import { Client } from '@temporalio/client';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { pino } from 'pino';
import { buildApi } from '../../src/api/app.ts';
import type { ApiDependencies } from '../../src/api/dependencies.ts';
import { openTemporal } from '../../src/api/temporal.ts';
import { type ControlDb, migrateControlDb, openControlDb } from '../../src/db/control-db.ts';
import { listenForEvents } from '../../src/db/run-events.ts';
import { ROLES, type Role } from '../../src/domain/role.ts';
import { createTestDatabase } from '../support/database.ts';
import { createTestNamespace } from '../support/temporal.ts';
import { uniqueName } from '../support/unique-name.ts';

export const TOKENS = ROLES.map((role) => ({ name: `${role}-ann`, role, token: `token-of-the-${role}` }));

export type Call = Omit<InjectOptions, 'method' | 'url'>;

/** The answer to a call, with its body read as JSON. */
export type Answer = {
  status: number;
  body: Record<string, unknown>;
  headers: Record<string, unknown>;
  text: string;
};

export type TestApi = {
  app: FastifyInstance;
  deps: ApiDependencies;
  /** Everything that was logged, one JSON line each. */
  log: string[];
  /** Calls as the holder of the role's token; without a token for undefined. */
  call(role: Role | undefined, method: 'GET' | 'POST' | 'PUT', url: string, call?: Call): Promise<Answer>;
  /** Listens on a free port and gives the URL. */
  listen(): Promise<string>;
  close(): Promise<void>;
};

/** The API over these connections, which it closes none of. */
export function apiOver(
  deps: Pick<ApiDependencies, 'db' | 'temporal'> & Partial<ApiDependencies>,
  databaseUrl: string,
): TestApi {
  const log: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => log.push(line) });
  const wakeups = listenForEvents(databaseUrl);
  const all: ApiDependencies = {
    wakeups,
    tokens: TOKENS,
    targets: ['shop'],
    webUiUrl: 'http://127.0.0.1:8233',
    logger,
    ...deps,
  };
  const app = buildApi(all);
  return {
    app,
    deps: all,
    log,
    async call(role, method, url, call = {}) {
      const token = TOKENS.find((one) => one.role === role)?.token;
      const headers = { ...(token && { authorization: `Bearer ${token}` }), ...call.headers };
      const response = await app.inject({ ...call, method, url, headers });
      const text = response.body;
      const isJson = /json/.test(String(response.headers['content-type']));
      return {
        status: response.statusCode,
        body: isJson ? JSON.parse(text) : {},
        headers: response.headers,
        text,
      };
    },
    listen: () => app.listen({ host: '127.0.0.1', port: 0 }),
    async close() {
      await app.close();
      await wakeups.close();
    },
  };
}

/** The API with a control database and a namespace of its own, and no worker. */
export async function startTestApi(): Promise<
  TestApi & { db: ControlDb; databaseUrl: string; temporal: Client }
> {
  const [database, { address, namespace }] = await Promise.all([createTestDatabase(), createTestNamespace()]);
  const db = openControlDb(database.url);
  await migrateControlDb(db);
  const connection = openTemporal({ address });
  const temporal = new Client({ connection, namespace });
  const api = apiOver({ db, temporal }, database.url);
  return {
    ...api,
    db,
    databaseUrl: database.url,
    temporal,
    async close() {
      await api.close();
      await db.close();
      await connection.close();
      await database.drop();
    },
  };
}

/** A client of a Temporal server that does not exist. */
export function unreachableTemporal(): { temporal: Client; close(): Promise<void> } {
  const connection = openTemporal({ address: '127.0.0.1:1' });
  return { temporal: new Client({ connection }), close: () => connection.close() };
}

/** A plan document of two phases, under a name of its own. */
export function planDocument(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: uniqueName('plan'),
    target: 'shop',
    phases: [
      { kind: 'schema', name: 'widen', up: ['SELECT 1'], down: ['SELECT 2'] },
      { kind: 'backfill', name: 'fill', table: 'items', transform: { kind: 'sql', set: { a: '1' } } },
    ],
    ...changes,
  };
}
