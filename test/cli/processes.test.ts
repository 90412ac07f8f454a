import { afterEach, expect, test } from 'vitest';
import { createTestDatabase } from '../support/database.ts';
import { createTestNamespace } from '../support/temporal.ts';
import { until } from '../support/until.ts';
import { cutover } from './support/command-line.ts';
import { deadAddress } from './support/http-server.ts';
import { type Child, startCutover } from './support/process.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The environment of a production process, on servers of the tests. */
async function environment(): Promise<NodeJS.ProcessEnv> {
  const control = await createTestDatabase();
  closing.push(control.drop);
  const { address, namespace } = await createTestNamespace();
  return {
    CUTOVER_DATABASE_URL: control.url,
    CUTOVER_TEMPORAL_ADDRESS: address,
    CUTOVER_TEMPORAL_NAMESPACE: namespace,
    CUTOVER_TARGET_APP_URL: control.url,
    CUTOVER_TOKENS: '[{"name": "ana", "role": "admin", "token": "0123456789abcdef"}]',
    CUTOVER_PORT: '0',
  };
}

function start(command: string, env: NodeJS.ProcessEnv): Child {
  const child = startCutover([command], env);
  closing.push(async () => {
    child.stop('SIGKILL');
    await child.ended;
  });
  return child;
}

/** The JSON line of a process's log that has this message. */
function logged(child: Child, message: string): Promise<Record<string, unknown>> {
  return until(
    () => {
      const line = child
        .output()
        .split('\n')
        .find((text) => text.includes(`"msg":"${message}"`));
      return line === undefined ? undefined : JSON.parse(line);
    },
    { what: `"${message}" in the log` },
  ).catch((error) => {
    throw new Error(child.output(), { cause: error });
  });
}

test('cutover api serves until SIGTERM and then ends in order', async () => {
  const api = start('api', await environment());
  const { url } = await logged(api, 'api listens');
  const status = await cutover(['status', '--url', String(url), '--token', '0123456789abcdef']);
  expect(status.stdout).toContain('No run yet');
  api.stop('SIGTERM');
  expect(await api.ended).toBe(0);
});

test('cutover worker works until SIGTERM and then ends in order', async () => {
  const worker = start('worker', await environment());
  await logged(worker, 'worker started');
  worker.stop('SIGTERM');
  expect(await worker.ended).toBe(0);
});

test.each(['api', 'worker'])('cutover %s names what is not configured, with exit code 2', async (command) => {
  const outcome = await cutover([command]);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toContain('CUTOVER_DATABASE_URL: not set; write a URL like postgresql://');
  expect(outcome.stderr).toContain('CUTOVER_TEMPORAL_ADDRESS: not set; write host:port');
});

test.each(['api', 'worker'])(
  'cutover %s says which server does not answer, with exit code 5, and ends',
  async (command) => {
    const env = await environment();
    const url = new URL(String(env.CUTOVER_DATABASE_URL));
    url.port = new URL(await deadAddress()).port;
    const child = start(command, { ...env, CUTOVER_DATABASE_URL: url.href });
    expect(await child.ended).toBe(5);
    expect(child.output()).toContain(`connect ECONNREFUSED ${url.host}`);
    expect(child.output()).toContain('CUTOVER_DATABASE_URL');
  },
);

test('cutover worker says that Temporal does not answer, with exit code 5, and ends', async () => {
  const address = new URL(await deadAddress()).host;
  const worker = start('worker', { ...(await environment()), CUTOVER_TEMPORAL_ADDRESS: address });
  expect(await worker.ended).toBe(5);
  expect(worker.output()).toContain('CUTOVER_TEMPORAL_ADDRESS');
});
