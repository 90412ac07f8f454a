import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiClient, type StreamItem } from '../../src/cli/api-client.ts';
import { CliError } from '../../src/cli/exit.ts';
import { deadAddress, startHttpServer } from './support/http-server.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** An event stream whose connections are served one after the other by these answers. */
async function streamServer(...answers: ((response: ServerResponse) => void)[]) {
  const lastEventIds: (string | undefined)[] = [];
  const server = await startHttpServer((request, response) => {
    lastEventIds.push(request.headers['last-event-id'] as string | undefined);
    const answer = answers[lastEventIds.length - 1];
    if (answer) answer(response);
    else response.writeHead(404).end();
  });
  closing.push(server.close);
  return { client: new ApiClient(server.url, 'a-token'), lastEventIds };
}

const event = (id: number) =>
  `id: ${id}\nevent: note\ndata: ${JSON.stringify({ at: 'now', phase: null, message: `event ${id}`, data: {} })}\n\n`;
const END = 'event: end\ndata: {"status":"completed","reason":null}\n\n';
const stream = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

async function failure(work: Promise<unknown>): Promise<CliError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof CliError) return error;
  throw new Error('expected a CliError', { cause: error });
}

async function collect(items: AsyncGenerator<StreamItem>): Promise<StreamItem[]> {
  const collected: StreamItem[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

describe('events', () => {
  test('go on after the last one that arrived, however often the connection breaks', async () => {
    const { client, lastEventIds } = await streamServer(
      (response) => stream(response).write(event(1) + event(2), () => response.destroy()),
      (response) => response.writeHead(503).end(),
      (response) => stream(response).end(event(3)),
      (response) => stream(response).end(event(4) + END),
    );
    const reconnects: string[] = [];
    const items = await collect(client.events('run-1', { onReconnect: (reason) => reconnects.push(reason) }));
    expect(items.map((item) => (item.kind === 'event' ? item.event.id : item.status))).toEqual([
      1,
      2,
      3,
      4,
      'completed',
    ]);
    expect(lastEventIds).toEqual([undefined, '2', '2', '3']);
    expect(reconnects).toHaveLength(3);
  });

  test('end with the refusal when the server refuses', async () => {
    const { client, lastEventIds } = await streamServer((response) => response.writeHead(403).end());
    const error = await failure(collect(client.events('run-1')));
    expect(error.exitCode).toBe(3);
    expect(lastEventIds).toHaveLength(1);
  });

  test('give up on a server that stays away for longer than the patience', async () => {
    const client = new ApiClient(await deadAddress(), undefined);
    const error = await failure(collect(client.events('run-1', { patienceMs: 250 })));
    expect(error.exitCode).toBe(5);
    expect(error.message).toContain('lost the events of run run-1');
  });

  test('stop when the caller wants to', async () => {
    const { client } = await streamServer((response) => stream(response).write(event(1)));
    const stopping = new AbortController();
    const items = client.events('run-1', { signal: stopping.signal });
    expect((await items.next()).value).toMatchObject({ kind: 'event', event: { id: 1 } });
    stopping.abort(new Error('enough'));
    await expect(items.next()).rejects.toThrow('enough');
  });
});

describe('a refused request', () => {
  test.each([
    [400, 1],
    [401, 3],
    [403, 3],
    [404, 4],
    [409, 3],
    [422, 1],
    [500, 1],
    [503, 5],
  ])('answered with %i has exit code %i', async (status, exitCode) => {
    const { client } = await streamServer((response) =>
      response
        .writeHead(status, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify({ type: 'about:blank', title: 'No', status, detail: 'it is not to be' })),
    );
    const error = await failure(client.get('/api/x'));
    expect(error.exitCode).toBe(exitCode);
    expect(error.message).toBe('it is not to be');
  });

  test('lists every problem that the server names', async () => {
    const problems = [{ path: 'phases[0].name', problem: 'is missing', fix: 'it must be a string' }];
    const { client } = await streamServer((response) =>
      response.writeHead(400).end(JSON.stringify({ detail: 'the plan has 1 problem', problems })),
    );
    const error = await failure(client.post('/api/plans', {}));
    expect(error.details).toEqual(['phases[0].name: is missing; it must be a string']);
  });

  test('is told by its status when the answer is not from the API', async () => {
    const { client } = await streamServer((response) =>
      response.writeHead(502).end('<html>Bad gateway</html>'),
    );
    expect((await failure(client.get('/'))).message).toBe('HTTP 502 Bad Gateway');
  });
});
