import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cutover, type Outcome } from '../cli/support/command-line.ts';
import { type Child, startCutover } from '../cli/support/process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const directory = temporaryDirectory();
const files = temporaryDirectory();
const stack = join(directory.path, 'stack');
const planFile = join(files.path, 'order-totals.yaml');
const transforms = join(files.path, 'order-totals.ts');

let dev: Child;
let addresses: { apiUrl: string; appUrl: string };

const run = (...args: string[]): Promise<Outcome> => cutover(args, { CUTOVER_DIR: stack });
const documentOf = (outcome: Outcome) => JSON.parse(outcome.stdout);

/** A code block of the README that has these words in it. */
function codeBlock(language: string, words: string): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```/gms)];
  const found = blocks.find(([, name, text]) => name === language && text?.includes(words));
  if (found?.[2]) return found[2];
  throw new Error(`the README has no ${language} block with ${words}`);
}

beforeAll(async () => {
  const source = pathToFileURL(fileURLToPath(new URL('../../src/', import.meta.url))).href;
  writeFileSync(planFile, codeBlock('yaml', 'name: order-totals'));
  writeFileSync(transforms, codeBlock('ts', "name: 'order-total'").replace("'../src/", `'${source}`));
  dev = startCutover(['dev', '--json', '--port', '0', '--dir', stack], { CUTOVER_TRANSFORMS: transforms });
  addresses = await until(
    () => {
      const line = dev
        .output()
        .split('\n')
        .find((text) => text.startsWith('{"apiUrl"'));
      return line === undefined ? undefined : JSON.parse(line);
    },
    { what: 'the dev stack', deadlineMs: 90_000 },
  ).catch((error) => {
    throw new Error(dev.output(), { cause: error });
  });
  const client = new pg.Client({ connectionString: addresses.appUrl });
  await client.connect();
  await client.query(`
    CREATE TABLE orders (id bigint PRIMARY KEY, total_text text);
    INSERT INTO orders VALUES (1, '9.99'), (2, ' 12.00 '), (3, 'twelve')`);
  await client.end();
}, 120_000);

afterAll(async () => {
  dev.stop();
  await dev.ended;
  directory.remove();
  files.remove();
});

async function waitingRun(): Promise<string> {
  return until(
    async () => {
      const { runs } = documentOf(await run('status', '--json'));
      return runs.find((one: { status: string }) => one.status === 'awaiting_approval')?.id;
    },
    { what: 'a run that waits for its approval' },
  );
}

describe('the dev stack', () => {
  test('runs the plan of the README as it is written there', async () => {
    expect((await run('plan', 'lint', planFile)).stdout).toContain('nothing to object to');
    expect((await run('plan', 'register', planFile)).stdout).toContain(
      'order-totals is registered as version 1',
    );
    const dry = await run('dry-run', 'order-totals');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toContain('would migrate 2 of 3 rows');

    const watching = run('--as', 'operator', 'start', 'order-totals', '--watch', '--json');
    const ended = watching.then((outcome): never => {
      throw new Error(`the run ended before its approval:\n${outcome.stdout}`);
    });
    const id = await Promise.race([waitingRun(), ended]);
    expect((await run('--as', 'approver', 'approve', id)).code).toBe(0);
    const watched = await watching;
    expect(watched.code, watched.stdout).toBe(0);
    const lines = watched.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({
      type: 'end',
      run: { id, status: 'completed', startedBy: 'operator' },
    });
    expect(new Set(lines.map(({ type }) => type))).toContain('validation');

    const exceptions = await run('exceptions', id);
    expect(exceptions.stdout).toMatch(/^1 +3 +ambiguous +open +backfill +"twelve" is no amount$/m);
    expect((await run('status', id)).stdout).toContain(
      '3 rows: 2 migrated, 0 skipped, 1 ambiguous, 0 failed',
    );
    expect((await run('log', '--run', id)).stdout).toMatch(
      /backfill +orders +3 +2 +0 +1 +0 .*operator +completed/,
    );

    const report = join(files.path, 'report.json');
    expect((await run('report', id, '--output', report)).code).toBe(0);
    expect(JSON.parse(readFileSync(report, 'utf8'))).toMatchObject({
      run: { id },
      exceptions: [{ key: ['3'] }],
    });
    expect((await run('report', id, '--format', 'csv')).stdout).toContain('3,ambiguous');
  });

  test('refuses with exit code 3 what the state or the role does not allow, and shows a failed run with 1', async () => {
    const file = join(files.path, 'second.yaml');
    writeFileSync(
      file,
      'name: second\ntarget: app\nphases: [{ kind: approval, name: approval, roles: [approver] }]\n',
    );
    expect((await run('plan', 'register', file)).code).toBe(0);
    const key = ['--idempotency-key', 'a-key'];
    const started = documentOf(await run('start', 'second', '--json', ...key));
    expect(documentOf(await run('start', 'second', '--json', ...key)).id).toBe(started.id);
    expect(await waitingRun()).toBe(started.id);

    const second = await run('start', 'second', '--json');
    expect(second.code).toBe(3);
    expect(documentOf(second).error).toMatchObject({ exitCode: 3, runId: started.id });

    const early = await run('advance', started.id);
    expect(early.code).toBe(3);
    expect(early.stderr).toContain('what it takes now');
    const viewer = await run('--as', 'viewer', 'rollback', started.id);
    expect(viewer.code).toBe(3);
    expect(viewer.stderr).toContain('--as operator');
    expect((await run('--token', 'not-a-token', 'status')).code).toBe(3);
    expect((await run('status', 'no-such-run')).code).toBe(4);
    expect((await run('start', 'no-such-plan')).stderr).toContain('cutover plan list');

    const watching = run('status', '--watch');
    expect((await run('--as', 'approver', 'reject', started.id, '--reason', 'not today')).code).toBe(0);
    const watched = await watching;
    expect(watched.code).toBe(1);
    expect(watched.stdout).toContain('rolled back');
    expect((await run('status', started.id)).code).toBe(1);
  });

  test('is alone in its directory', async () => {
    const other = startCutover(['dev', '--dir', stack]);
    expect(await other.ended).toBe(1);
    expect(other.output()).toContain(`its API is at ${addresses.apiUrl}`);
  });

  test('stops in order when asked to', async () => {
    dev.stop('SIGINT');
    expect(await dev.ended).toBe(0);
    expect(dev.output()).toContain('Stopping');
    expect((await run('status')).code).toBe(5);
  });
});
