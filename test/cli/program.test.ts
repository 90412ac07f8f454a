import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { claimDirectory, devTokens, publishAddresses, releaseDirectory } from '../../src/dev/state.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { cutover } from './support/command-line.ts';
import { deadAddress, startHttpServer } from './support/http-server.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function directory(): string {
  const made = temporaryDirectory();
  closing.push(made.remove);
  return made.path;
}

/** A server that answers every request so, and the tokens that it was sent. */
async function serverThatAnswers(status: number, body: unknown) {
  const tokens: (string | undefined)[] = [];
  const server = await startHttpServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  closing.push(server.close);
  return { url: server.url, tokens };
}

const NO_RUNS = { runs: [], next: null };

describe('the command line', () => {
  test('explains itself, with its exit codes', async () => {
    const help = await cutover(['--help']);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('Usage: cutover');
    expect(help.stdout).toMatch(/3 {2}refused: not in this state/);
  });

  test.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['start'], "missing required argument 'plan'"],
    [['start', 'a-plan', '--time-scale', 'fast'], 'write a number from 1 to 1000000'],
    [['start', 'a-plan', '--batch-size', '1.5'], 'write a whole number from 1 to 100000'],
    [['dry-run', 'a-plan', '--sample', 'some'], 'write a number of rows, up to 200000, or a share as in 1%'],
    [['dry-run', 'a-plan', '--sample', '101%'], 'it must be more than 0 % and at most 100 %'],
    [['report', 'a-run', '--format', 'pdf'], 'Allowed choices are json, csv'],
  ])('refuses %j with exit code 2', async (args, said) => {
    const outcome = await cutover(args);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain(said);
    expect(outcome.stdout).toBe('');
  });

  test('names every variable of the environment that is wrong, with exit code 2', async () => {
    const outcome = await cutover(['status'], { CUTOVER_PORT: 'x', CUTOVER_LOG_LEVEL: 'loud' });
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toContain('CUTOVER_PORT: ');
    expect(outcome.stderr).toContain('CUTOVER_LOG_LEVEL: ');
  });

  test('says with exit code 5 that the server cannot be reached, and what to do', async () => {
    const url = await deadAddress();
    const outcome = await cutover(['status', '--url', url]);
    expect(outcome.code).toBe(5);
    expect(outcome.stderr).toContain(`no answer from ${url}: connect ECONNREFUSED`);
    expect(outcome.stderr).toContain('cutover dev');
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });

  test('says with exit code 5 that no server is known at all', async () => {
    const outcome = await cutover(['status']);
    expect(outcome.code).toBe(5);
    expect(outcome.stderr).toContain('no dev stack runs in /nowhere/cutover');
  });

  test('shows where an error arose only when asked to', async () => {
    expect((await cutover(['status', '--verbose'])).stderr).toMatch(/\n\s+at /);
  });

  test('with --json, prints an error as a document on stdout and says it on stderr', async () => {
    const { url } = await serverThatAnswers(409, {
      title: 'Conflict',
      status: 409,
      detail: 'it is paused',
      state: 'paused',
    });
    const outcome = await cutover(['pause', 'a-run', '--json', '--url', url]);
    expect(outcome.code).toBe(3);
    expect(JSON.parse(outcome.stdout)).toEqual({
      error: expect.objectContaining({ message: 'it is paused', exitCode: 3, state: 'paused' }),
    });
    expect(outcome.stderr).toContain('error: it is paused');
  });

  test('gives a throttle with its number of connections, and refuses one without', async () => {
    const given: unknown[] = [];
    const server = await startHttpServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        given.push([request.method, request.url, JSON.parse(body)]);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ id: 'a-run', status: 'running', waitingFor: null }));
      });
    });
    closing.push(server.close);
    const args = ['throttle', 'a-run', '--url', server.url];
    const outcome = await cutover([...args, '--connections', '3', '--reason', 'quiet night']);
    expect(outcome).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('throttle was accepted; a-run is running'),
    });
    expect(given).toEqual([['POST', '/api/runs/a-run/throttle', { connections: 3, reason: 'quiet night' }]]);
    expect((await cutover(args)).code).toBe(2);
    expect(await cutover([...args, '--connections', '65'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a whole number from 1 to 64'),
    });
  });

  test('prints no colours where there is no terminal', async () => {
    const { url } = await serverThatAnswers(200, NO_RUNS);
    expect((await cutover(['status', '--url', url])).stdout).toBe(
      'No run yet. Start one with `cutover start <plan>`.\n',
    );
  });
});

describe('the server and its token', () => {
  test('come from the options before the environment', async () => {
    const { url, tokens } = await serverThatAnswers(200, NO_RUNS);
    const env = { CUTOVER_API_URL: await deadAddress(), CUTOVER_TOKEN: 'of-the-environment' };
    expect((await cutover(['status', '--url', url, '--token', 'of-the-option'], env)).code).toBe(0);
    expect((await cutover(['status'], { ...env, CUTOVER_API_URL: url })).code).toBe(0);
    expect(tokens).toEqual(['Bearer of-the-option', 'Bearer of-the-environment']);
  });

  test('come from the dev stack that runs in the directory, as its admin or as another', async () => {
    const { url, tokens } = await serverThatAnswers(200, NO_RUNS);
    const dir = directory();
    const known = devTokens(dir);
    claimDirectory(dir);
    publishAddresses(dir, { apiUrl: url });
    const token = (role: string) => `Bearer ${known.find((one) => one.role === role)?.token}`;
    expect((await cutover(['status', '--dir', dir])).code).toBe(0);
    expect((await cutover(['status', '--as', 'viewer'], { CUTOVER_DIR: dir })).code).toBe(0);
    expect(tokens).toEqual([token('admin'), token('viewer')]);

    const nobody = await cutover(['status', '--dir', dir, '--as', 'nobody']);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain('it has tokens for viewer, operator, approver, admin');

    releaseDirectory(dir);
    expect((await cutover(['status', '--dir', dir])).code).toBe(5);
  });

  test("never sends a dev stack's token to another server", async () => {
    const { url, tokens } = await serverThatAnswers(200, NO_RUNS);
    const dir = directory();
    devTokens(dir);
    claimDirectory(dir);
    publishAddresses(dir, { apiUrl: await deadAddress() });
    expect((await cutover(['status', '--dir', dir, '--url', url])).code).toBe(0);
    expect(tokens).toEqual([undefined]);
  });
});

const PLAN = `
name: widen-id
target: app
phases:
  - kind: schema
    name: add-column
    up: [ALTER TABLE orders ADD COLUMN id_wide bigint]
    down: [ALTER TABLE orders DROP COLUMN id_wide]
`;

describe('plan lint', () => {
  function planFile(text: string): string {
    const file = join(directory(), 'plan.yaml');
    writeFileSync(file, text);
    return file;
  }

  test('passes a plan that is right', async () => {
    const file = planFile(PLAN);
    expect(await cutover(['plan', 'lint', file])).toEqual({
      code: 0,
      stdout: '✓ widen-id: 1 phase, nothing to object to\n',
      stderr: '',
    });
    expect(JSON.parse((await cutover(['plan', 'lint', file, '--json'])).stdout)).toMatchObject({
      valid: true,
      name: 'widen-id',
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      problems: [],
    });
  });

  test('lists every problem at once with its path and what would be right', async () => {
    const file = planFile(
      PLAN.replace('name: widen-id', 'name: Widen Id').replace('down:', 'dwon:').replace('target: app', ''),
    );
    const outcome = await cutover(['plan', 'lint', file]);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('3 problems');
    for (const path of ['name', 'target', 'phases[0].dwon'])
      expect(outcome.stdout).toContain(`\n  ${path}: `);
    const { valid, problems } = JSON.parse((await cutover(['--json', 'plan', 'lint', file])).stdout);
    expect(valid).toBe(false);
    expect(problems).toHaveLength(3);
    expect(problems[0]).toEqual({ path: 'name', problem: expect.any(String), fix: expect.any(String) });
  });

  test('shows what the DDL linter objects to, and what it only advises', async () => {
    const refused = await cutover([
      'plan',
      'lint',
      planFile(PLAN.replace('up: [', 'up: [CREATE INDEX a ON orders (id), ')),
    ]);
    expect(refused.code).toBe(1);
    expect(refused.stdout).toContain(
      '  phases[0].up[0]: warning require-concurrent-index-creation in line 1: ',
    );
    expect(refused.stdout).toContain(
      'waivers: [{ rule: require-concurrent-index-creation, statement: 0, reason: "…" }]',
    );
    const advised = planFile(PLAN.replace('bigint', 'int'));
    const passed = await cutover(['plan', 'lint', advised]);
    expect(passed).toMatchObject({ code: 0, stdout: expect.stringContaining('✓ widen-id') });
    expect(passed.stdout).toContain('  phases[0].up[0]: advice prefer-bigint-over-int\n');
    const { findings } = JSON.parse((await cutover(['plan', 'lint', advised, '--json'])).stdout);
    expect(findings).toMatchObject([{ rule: 'prefer-bigint-over-int', severity: 'advice' }]);
  });

  test('says which line of the YAML is broken', async () => {
    const outcome = await cutover(['plan', 'lint', planFile('name: [')]);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toContain('plan.yaml:1:');
  });

  test('a refused plan is not sent to the server', async () => {
    const { url, tokens } = await serverThatAnswers(200, {});
    const outcome = await cutover(['plan', 'register', planFile('name: x'), '--url', url]);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('target: is missing');
    expect(tokens).toEqual([]);
  });
});

test('plan schema prints a JSON Schema that knows every kind of phase', async () => {
  const outcome = await cutover(['plan', 'schema']);
  expect(outcome.code).toBe(0);
  const schema = JSON.parse(outcome.stdout);
  expect(schema).toMatchObject({ title: 'Cutover plan', type: 'object' });
  expect(schema.properties.phases.items.oneOf).toHaveLength(10);
});
