import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { measureHttp } from '../../../src/engine/load/http-probe.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (body: unknown, status = 200) =>
  serve((_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });

describe('an HTTP probe', () => {
  it('reads the number at its path, whether it is a number or the text of one', async () => {
    const url = await answering({ latency: { p99: 41.5 }, data: { result: [{ value: [0, '0.25'] }] } });
    const measure = (path: string) => measureHttp({ url, path }, { timeoutMs: 5_000 });
    expect(await measure('latency.p99')).toEqual({ kind: 'value', value: 41.5 });
    expect(await measure('data.result.0.value.1')).toEqual({ kind: 'value', value: 0.25 });
  });

  it('without a path measures how long the whole answer takes', async () => {
    const url = await serve((_, response) => {
      response.write('{"a":');
      setTimeout(() => response.end('1}'), 60);
    });
    const measured = await measureHttp({ url }, { timeoutMs: 5_000 });
    expect(measured).toMatchObject({ kind: 'value' });
    expect(measured.kind === 'value' && measured.value).toBeGreaterThanOrEqual(55);
  });

  it('says what went wrong, without the secrets of its URL', async () => {
    const refused = await answering({}, 503);
    const measure = (url: string, path?: string) => measureHttp({ url, path }, { timeoutMs: 5_000 });
    expect(await measure(`${refused}/metrics?token=secret`)).toEqual({
      kind: 'error',
      message: `${refused}/metrics: it answered 503`,
    });
    const words = await answering('not json');
    expect(await measure(words, 'a')).toMatchObject({ message: `${words}/: its answer is no JSON` });
    const other = await answering({ a: { b: 'many' } });
    for (const path of ['a.b', 'a', 'a.b.c', 'x'])
      expect(await measure(other, path)).toMatchObject({
        message: `${other}/: its answer has no number at "${path}"`,
      });
    expect(await measure('file:///etc/passwd')).toMatchObject({
      message: expect.stringContaining('only http and https'),
    });
    for (const secret of ['ana:secret', ':secret']) {
      expect(await measure(refused.replace('//', `//${secret}@`))).toEqual({
        kind: 'error',
        message: `${refused}/: a URL with a user and password is not asked`,
      });
    }
    const gone = await answering({});
    servers.splice(-1).map((server) => server.close());
    expect(await measure(gone)).toMatchObject({ message: expect.stringContaining('ECONNREFUSED') });
  });

  it('follows no redirect', async () => {
    let asked = 0;
    const elsewhere = await serve((_, response) => {
      asked += 1;
      response.end('1');
    });
    const url = await serve((_, response) => response.writeHead(302, { location: elsewhere }).end());
    expect(await measureHttp({ url }, { timeoutMs: 5_000 })).toMatchObject({
      message: expect.stringContaining('redirects are not followed'),
    });
    expect(asked).toBe(0);
  });

  it('gives up on an answer that does not come or does not end, and at once when it is no longer wanted', async () => {
    const silent = await serve(() => {});
    expect(await measureHttp({ url: silent }, { timeoutMs: 50 })).toEqual({
      kind: 'error',
      message: `${silent}/: no answer within 0.05 s`,
    });
    const endless = await serve((_, response) => {
      const more = () => response.write('x'.repeat(100_000), () => setImmediate(more));
      more();
    });
    expect(await measureHttp({ url: endless }, { timeoutMs: 20_000 })).toMatchObject({
      message: expect.stringContaining('longer than'),
    });
    const unwanted = measureHttp({ url: silent }, { timeoutMs: 60_000, signal: AbortSignal.timeout(20) });
    await expect(unwanted).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
