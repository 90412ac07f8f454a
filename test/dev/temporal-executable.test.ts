import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FindTemporalOptions, findTemporal } from '../../src/dev/temporal-executable.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const RUNS = '#!/bin/sh\necho "temporal version 1.5.1 (Server 1.29.1)"\n';
/** Stands in for Go: notes each call, then leaves an executable where `go install` would. */
const GO = `#!/bin/sh
echo "$*, CGO_ENABLED=$CGO_ENABLED" >> "$CALLS"
/bin/cp "$BUILDS" "$GOBIN/temporal"
`;

let directory: ReturnType<typeof temporaryDirectory>;
let said: string[];

beforeEach(() => {
  directory = temporaryDirectory();
  said = [];
});
afterEach(() => directory.remove());

/** An executable in a directory of its own below the test's; returns that directory. */
function executable(where: string, name: string, script: string): string {
  const path = join(directory.path, where);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, name), script, { mode: 0o755 });
  return path;
}

function find(path: string, options: Partial<FindTemporalOptions> = {}): Promise<string> {
  const { path: base } = directory;
  return findTemporal({
    cacheDir: join(base, 'cache'),
    environment: { PATH: path, CALLS: join(base, 'calls'), BUILDS: join(base, 'built', 'temporal') },
    say: (line) => said.push(line),
    // Port 9, discard, is not served anywhere; the answer is an immediate refusal.
    downloadService: 'http://127.0.0.1:9/cli',
    goDirectories: [],
    ...options,
  });
}

describe('the Temporal executable', () => {
  test('is the one on PATH, when it runs', async () => {
    const broken = executable('broken', 'temporal', '#!/bin/sh\nexit 1\n');
    const good = executable('good', 'temporal', RUNS);
    expect(await find(`${broken}:${good}`)).toBe(join(good, 'temporal'));
    expect(said).toEqual([expect.stringContaining('found on PATH')]);
    expect(existsSync(join(directory.path, 'cache'))).toBe(false);
  });

  test('else is built by Go into the cache, and from then on taken from there; each way is one line', async () => {
    executable('built', 'temporal', RUNS);
    const go = executable('go', 'go', GO);
    const built = await find(go);
    expect(said).toEqual([
      expect.stringContaining('no `temporal` that runs on PATH'),
      expect.stringContaining('none in the cache'),
      expect.stringMatching(/out of reach: 127\.0\.0\.1:9: ./),
      expect.stringContaining('go install github.com/temporalio/cli/cmd/temporal@v1.5.1'),
      expect.stringMatching(/built in \d+ s/),
    ]);
    const call = 'install github.com/temporalio/cli/cmd/temporal@v1.5.1, CGO_ENABLED=0\n';
    expect(readFileSync(join(directory.path, 'calls'), 'utf8')).toBe(call);
    expect(readdirSync(join(directory.path, 'cache'))).toHaveLength(1);

    said = [];
    expect(await find('')).toBe(built);
    expect(said.at(-1)).toContain('from the cache');
  });

  test('is built again when the one in the cache does not run', async () => {
    executable('built', 'temporal', RUNS);
    const go = executable('go', 'go', GO);
    const built = await find(go);
    writeFileSync(built, 'torn');
    expect(await find(go)).toBe(built);
    expect(readFileSync(built, 'utf8')).toBe(RUNS);
  });

  test('is built once by several starts at once, of which the others wait', async () => {
    executable('built', 'temporal', RUNS);
    const go = executable('go', 'go', GO);
    const paths = await Promise.all([find(go), find(go), find(go)]);
    expect(new Set(paths).size).toBe(1);
    expect(readFileSync(join(directory.path, 'calls'), 'utf8').trim().split('\n')).toHaveLength(1);
    expect(said.filter((line) => line.includes('another start is fetching it'))).toHaveLength(2);
  });

  test('is not put into the cache when what was built does not run', async () => {
    executable('built', 'temporal', '#!/bin/sh\nexit 3\n');
    const go = executable('go', 'go', GO);
    await expect(find(go)).rejects.toThrow('does not run here');
    expect(readdirSync(join(directory.path, 'cache'))).toEqual([]);
  });

  test('that is nowhere gives an error that names every way and why it failed', async () => {
    const go = executable('go', 'go', '#!/bin/sh\necho "dial tcp: no route to host" >&2\nexit 1\n');
    const failure = await find(go).catch((error: unknown) => String(error));
    for (const part of ['on PATH', 'in the cache', 'out of reach', 'no route to host']) {
      expect(failure).toContain(part);
    }
    expect(failure).toContain('CUTOVER_TEMPORAL_ADDRESS');
    await expect(find('')).rejects.toThrow('no `go` on PATH');
  });
});

describe('the download', () => {
  let silent: Server;

  beforeEach(async () => {
    silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    silent.closeAllConnections();
    silent.close();
  });

  test('is given up when nothing answers within the patience', async () => {
    const { port } = silent.address() as AddressInfo;
    const downloadService = `http://127.0.0.1:${port}/cli`;
    await expect(find('', { downloadService, networkPatienceMs: 50 })).rejects.toThrow(
      /out of reach.*timeout/,
    );
  });
});
