import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, type PostgresOptions, startPostgres } from '../../src/dev/postgres.ts';
import { preparePostgresHome } from '../../src/dev/postgres-home.ts';
import { isAlive } from '../../src/dev/server-process.ts';
import { holdServer } from '../support/held-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const asRoot = process.getuid?.() === 0;
const said: string[] = [];
const started: EmbeddedPostgres[] = [];
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
  said.length = 0;
});

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  directory.remove();
});

async function start(options: Partial<PostgresOptions> = {}): Promise<EmbeddedPostgres> {
  const dir = join(directory.path, 'postgres');
  const server = await startPostgres({
    dir,
    say: (line) => said.push(line),
    settings: { fsync: 'off' },
    ...options,
  });
  started.push(server);
  return server;
}

async function query(url: string, text: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

describe('the embedded PostgreSQL', () => {
  test('is PostgreSQL 18, listens on the loopback interface only, and asks for its password', async () => {
    const server = await start();
    expect(await query(server.url, 'SHOW listen_addresses')).toEqual([['127.0.0.1']]);
    expect(await query(server.url, 'SHOW unix_socket_directories')).toEqual([['']]);
    expect(Number((await query(server.url, 'SHOW server_version_num'))[0]?.[0])).toBeGreaterThanOrEqual(
      180_000,
    );
    const wrong = new URL(server.url);
    wrong.password = 'wrong';
    await expect(query(wrong.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test('keeps its data and its port when stopped and started, and its data from one run to the next', async () => {
    const server = await start();
    const url = await server.database('shop');
    await query(url, 'CREATE TABLE product AS SELECT 7 AS id');
    await server.stop();
    expect(server.pid()).toBeUndefined();
    await expect(query(url, 'SELECT 1')).rejects.toThrow();
    await server.start();
    expect(await query(url, 'SELECT id FROM product')).toEqual([[7]]);
    await server.stop();

    const next = await start();
    expect(await query(await next.database('shop'), 'SELECT id FROM product')).toEqual([[7]]);
    expect(said).toEqual([]);
  });

  test('is safe against a crash of the machine unless told otherwise', async () => {
    const server = await start({ settings: undefined });
    const settings = await query(
      server.url,
      "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
    );
    expect(settings.flat()).toEqual(['on', 'on', 'on']);
  });

  test('waits for its port when another program holds it at a restart', async () => {
    const server = await start();
    await server.stop();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(server.port, '127.0.0.1', resolve));
    const restarted = server.start();
    expect(await Promise.race([restarted, delay(300, 'still waiting')])).toBe('still waiting');
    await new Promise((resolve) => other.close(resolve));
    await restarted;
    expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
  });

  test('stops the server that a killed start left on the same data', async () => {
    const left = await holdServer('postgres', join(directory.path, 'postgres'));
    await left.killHolderAndGuards();
    expect(isAlive(left.pid)).toBe(true);
    const server = await start();
    expect(isAlive(left.pid)).toBe(false);
    expect(said).toEqual([expect.stringContaining(`process ${left.pid}`)]);
    expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
  });

  test('ends with the process that started it, also when that is killed', async () => {
    const held = await holdServer('postgres', join(directory.path, 'postgres'));
    await held.killHolder();
    await until(() => !isAlive(held.pid), { what: 'the end of PostgreSQL' });
  });

  test('starts over a postmaster.pid whose process id now belongs to some other program', async () => {
    const server = await start();
    await server.stop();
    writeFileSync(join(server.dataDir, 'postmaster.pid'), `${process.pid}\n${server.dataDir}\n`);
    await server.start();
    expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
    expect(isAlive(process.pid)).toBe(true);
  });

  test('begins again where the creation of its cluster was interrupted', async () => {
    mkdirSync(join(directory.path, 'postgres', 'data.new', 'base'), { recursive: true });
    const server = await start();
    expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
  });

  test('says what its log says when it cannot start, and leaves nothing running', async () => {
    await expect(start({ settings: { shared_buffers: 'plenty' } })).rejects.toThrow(
      /could not start.*shared_buffers/s,
    );
    expect(existsSync(join(directory.path, 'postgres', 'data', 'postmaster.pid'))).toBe(false);
  });
});

describe.skipIf(!asRoot)('as root, below a directory that its unprivileged user may not enter', () => {
  test('the embedded PostgreSQL runs from a directory that it may enter, and says so', async () => {
    const home = join(directory.path, 'private');
    mkdirSync(home, { mode: 0o700 });
    // The package as a clone in a private home has it: binaries that the server's user cannot reach either.
    const probe = preparePostgresHome({ dir: join(directory.path, 'probe'), say: () => undefined });
    const distribution = join(home, 'package', 'native');
    cpSync(dirname(probe.binDir), distribution, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(home, 'package', 'package.json'), '{"version": "1"}');
    chmodSync(join(home, 'package'), 0o700);
    const fallbackDir = join(directory.path, 'fallback');

    const server = await start({ dir: join(home, '.cutover', 'postgres'), fallbackDir, distribution });
    expect(await query(server.url, 'SELECT 1')).toEqual([[1]]);
    expect(server.dataDir.startsWith(fallbackDir)).toBe(true);
    expect(said).toEqual([expect.stringContaining(`may not enter ${home}`)]);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    await server.stop();

    const [chosen = ''] = readdirSync(fallbackDir);
    expect(readdirSync(join(fallbackDir, chosen))).toContain('postgresql-1');
    const again = await start({ dir: join(home, '.cutover', 'postgres'), fallbackDir, distribution });
    expect(again.dataDir).toBe(server.dataDir);
  });
});
