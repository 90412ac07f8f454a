import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { type Stack, type StackOptions, startStack } from '../../src/dev/stack.ts';
import { devTokens, readDevState } from '../../src/dev/state.ts';
import { createTestDatabase } from '../support/database.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const said: string[] = [];
const started: Stack[] = [];
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
  said.length = 0;
});

afterEach(async () => {
  for (const stack of started.splice(0)) await stack.stop();
  directory.remove();
});

async function start(variables: Record<string, string>, options: Partial<StackOptions> = {}): Promise<Stack> {
  const stack = await startStack({
    config: loadConfig(variables),
    dir: join(directory.path, '.cutover'),
    say: (line) => said.push(line),
    postgresSettings: { fsync: 'off' },
    ...options,
  });
  started.push(stack);
  return stack;
}

/** Where a Temporal CLI is found, and nothing else. */
function withTemporalOnPath(): Record<string, string> {
  const bin = join(directory.path, 'temporal');
  writeFileSync(bin, `#!/bin/sh\nexec '${inject('temporalExecutable')}' "$@"\n`, { mode: 0o755 });
  return { PATH: directory.path };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

describe('the embedded stack', () => {
  test('brings up both servers, tells where they are, and stops and starts each by itself', async () => {
    const stack = await start(withTemporalOnPath());
    const { dir, postgres, temporal } = stack;
    stack.publish({ apiUrl: 'http://127.0.0.1:1' });
    expect(readDevState(dir)).toMatchObject({
      pid: process.pid,
      databaseUrl: postgres.url,
      temporalAddress: temporal.address,
      webUiUrl: temporal.webUiUrl,
      apiUrl: 'http://127.0.0.1:1',
    });
    expect(statSync(join(dir, 'dev.json')).mode & 0o777).toBe(0o600);

    await postgres.stop();
    expect(await answers(postgres.url)).toBe(false);
    await temporal.stop();
    await postgres.start();
    expect(await answers(postgres.url)).toBe(true);
    await temporal.start();
    await (await Connection.connect({ address: temporal.address })).close();

    await stack.stop();
    expect(await answers(postgres.url)).toBe(false);
    expect(readDevState(dir)).toBeUndefined();
  });

  test('leaves nothing running, and the directory free, when one of the servers cannot start', async () => {
    await expect(start(withTemporalOnPath(), { temporalArgs: ['--no-such-flag'] })).rejects.toThrow(
      /Temporal server.*no-such-flag/s,
    );
    const dir = join(directory.path, '.cutover');
    expect(existsSync(join(dir, 'dev.json'))).toBe(false);
    expect(existsSync(join(dir, 'postgres', 'data', 'postmaster.pid'))).toBe(false);
  });
});

describe("with the user's own servers", () => {
  async function startOnOwn(): Promise<Stack> {
    const database = await createTestDatabase();
    const stack = await start({
      CUTOVER_DATABASE_URL: database.url,
      CUTOVER_TEMPORAL_ADDRESS: inject('temporalAddress'),
    });
    started.push({ ...stack, stop: database.drop });
    return stack;
  }

  test('the stack takes those, starts none, and names no password', async () => {
    const stack = await startOnOwn();
    await stack.postgres.stop();
    expect(await answers(stack.postgres.url)).toBe(true);
    expect(stack.temporal.address).toBe(inject('temporalAddress'));
    expect(existsSync(join(stack.dir, 'postgres'))).toBe(false);
    expect(said).toHaveLength(2);
    expect(said.join('\n')).not.toContain(new URL(stack.postgres.url).password);
  });

  test('a second start in the same directory says that one runs and where', async () => {
    const stack = await startOnOwn();
    await expect(startOnOwn()).rejects.toThrow(/already runs.*on its way up/);
    stack.publish({ apiUrl: 'http://127.0.0.1:1' });
    await expect(startOnOwn()).rejects.toThrow(/already runs.*http:\/\/127\.0\.0\.1:1.*CUTOVER_DIR/);
    await stack.stop();
    await startOnOwn();
  });

  test('a start that was killed does not hold the directory', async () => {
    const stack = await startOnOwn();
    const file = join(stack.dir, 'dev.json');
    const state = JSON.parse(readFileSync(file, 'utf8'));
    // The same process id, but a program that had another command line.
    writeFileSync(file, JSON.stringify({ ...state, command: 'node an-earlier-start' }));
    expect(readDevState(stack.dir)).toBeUndefined();
    await startOnOwn();
    expect(readDevState(stack.dir)?.pid).toBe(process.pid);
  });
});

test('the tokens are one a role, secret, kept, and made once by several starts', async () => {
  const dir = join(directory.path, 'fresh');
  const tokens = devTokens(dir);
  expect(tokens.map(({ role }) => role)).toEqual(['viewer', 'operator', 'approver', 'admin']);
  expect(new Set(tokens.map(({ token }) => token)).size).toBe(4);
  expect(devTokens(dir)).toEqual(tokens);
  expect(statSync(join(dir, 'tokens.json')).mode & 0o777).toBe(0o600);
  writeFileSync(join(dir, 'tokens.json'), '');
  expect(() => devTokens(dir)).toThrow('remove it');
});
