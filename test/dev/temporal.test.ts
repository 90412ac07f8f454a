import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../src/contracts/names.ts';
import { isAlive } from '../../src/dev/server-process.ts';
import { startTemporal, type TemporalDevServer } from '../../src/dev/temporal.ts';
import { holdServer } from '../support/held-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const said: string[] = [];
const started: TemporalDevServer[] = [];
let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
  said.length = 0;
});

afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
  directory.remove();
});

async function start(extraArgs: string[] = []): Promise<TemporalDevServer> {
  const server = await startTemporal({
    dir: directory.path,
    executable: inject('temporalExecutable'),
    say: (line) => said.push(line),
    environment: process.env,
    extraArgs,
  });
  started.push(server);
  return server;
}

async function withConnection<T>(address: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

describe('the Temporal dev server', () => {
  test('has the search attributes and a Web UI, and keeps its state and address over a restart', async () => {
    const server = await start();
    await withConnection(server.address, async ({ operatorService, workflowService }) => {
      const { customAttributes } = await operatorService.listSearchAttributes({ namespace: 'default' });
      expect(Object.keys(customAttributes)).toEqual(expect.arrayContaining(Object.values(SEARCH_ATTRIBUTES)));
      await workflowService.registerNamespace({
        namespace: 'kept',
        workflowExecutionRetentionPeriod: msToTs('1 day'),
      });
    });
    expect((await fetch(server.webUiUrl)).status).toBe(200);

    await server.stop();
    expect(server.pid()).toBeUndefined();
    await expect(Connection.connect({ address: server.address, connectTimeout: 500 })).rejects.toThrow();
    await server.start();
    await withConnection(server.address, ({ workflowService }) =>
      workflowService.describeNamespace({ namespace: 'kept' }),
    );
    expect(said).toEqual([]);
  });

  test('is stopped first when a killed start has left one on the same state', async () => {
    const left = await holdServer('temporal', directory.path, inject('temporalExecutable'));
    await left.killHolderAndGuards();
    expect(isAlive(left.pid)).toBe(true);
    await start();
    expect(isAlive(left.pid)).toBe(false);
    expect(said).toEqual([expect.stringContaining(`process ${left.pid}`)]);
  });

  test('ends with the process that started it, also when that is killed', async () => {
    const held = await holdServer('temporal', directory.path, inject('temporalExecutable'));
    await held.killHolder();
    await until(() => !isAlive(held.pid), { what: 'the end of the Temporal server' });
  });

  test('says what its log says when it cannot start', async () => {
    await expect(start(['--no-such-flag'])).rejects.toThrow(/could not start.*no-such-flag/s);
  });
});
