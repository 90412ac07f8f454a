import { type ExecFileException, execFile } from 'node:child_process';
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, homedir, platform } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { withLock } from './cache-lock.ts';

export const TEMPORAL_CLI_VERSION = '1.5.1';
const GO_MODULE = `github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_CLI_VERSION}`;
const SDK_DOWNLOAD_SERVICE = 'https://temporal.download/cli/default';
/** Go's own installer puts it there and leaves PATH to the user. */
const USUAL_GO_DIRECTORIES = ['/usr/local/go/bin', '/usr/lib/go/bin'];
const NETWORK_PATIENCE_MS = 4_000;
const DOWNLOAD_DEADLINE_MS = 5 * 60_000;
const BUILD_DEADLINE_MS = 20 * 60_000;
const PROGRESS_EVERY_MS = 15_000;

export type FindTemporalOptions = {
  /** Shared by all checkouts of a user; see Config.cacheDir. */
  cacheDir: string;
  environment: NodeJS.ProcessEnv;
  say: (line: string) => void;
  /** Where the SDK asks for its download. */
  downloadService?: string | undefined;
  networkPatienceMs?: number | undefined;
  goDirectories?: readonly string[] | undefined;
};

/**
 * The path of a Temporal CLI that runs: on PATH, in the cache, by the SDK's download, or built by Go. The last two
 * leave it in the cache.
 * @throws naming every way and why it led nowhere.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<string> {
  const { cacheDir } = options;
  const say = (line: string) => options.say(`Temporal server: ${line}`);
  const failures: string[] = [];
  const fail = (reason: string) => {
    say(reason);
    failures.push(reason);
  };

  for (const path of findOnPath('temporal', options.environment.PATH)) {
    if (await runs(path)) {
      say(`${path}, found on PATH`);
      return path;
    }
  }
  fail('no `temporal` that runs on PATH');

  const cached = await findInCache(cacheDir);
  if (cached) {
    say(`${cached}, from the cache`);
    return cached;
  }
  fail(`none in the cache, ${cacheDir}`);

  mkdirSync(cacheDir, { recursive: true });
  const onWait = () => say('another start is fetching it; waiting for that one');
  return withLock(join(cacheDir, 'temporal.lock'), onWait, async () => {
    const arrived = await findInCache(cacheDir);
    if (arrived) {
      say(`${arrived}, which another start has just fetched`);
      return arrived;
    }
    const ways = [downloadBySdk, buildByGo];
    for (const way of ways) {
      try {
        return await intoCache(cacheDir, (directory) => way(directory, { ...options, say }));
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
    }
    throw new Error(notFound(failures));
  });
}

function notFound(failures: readonly string[]): string {
  return [
    'No Temporal server was found:',
    ...failures.map((failure) => `  - ${failure}`),
    'Any one of these helps: set CUTOVER_TEMPORAL_ADDRESS to a running server (host:port); put the `temporal` CLI on PATH ' +
      '(https://docs.temporal.io/cli); allow a download from temporal.download; ' +
      `or install Go 1.23 or newer, with which Cutover builds ${GO_MODULE}.`,
  ].join('\n');
}

/** Every file of that name that may be executed, in the order of PATH. */
export function findOnPath(name: string, path = ''): string[] {
  const candidates = path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, platform() === 'win32' ? `${name}.exe` : name));
  return candidates.filter((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function cachedPath(cacheDir: string): string {
  return join(cacheDir, `temporal-${TEMPORAL_CLI_VERSION}-${platform()}-${arch()}`);
}

async function findInCache(cacheDir: string): Promise<string | undefined> {
  const path = cachedPath(cacheDir);
  return (await runs(path)) ? path : undefined;
}

async function runs(path: string): Promise<boolean> {
  const answer = await run(path, ['--version'], { timeout: 15_000 });
  return answer.error === null && /temporal version/i.test(answer.stdout);
}

/** Lets `produce` write an executable into a directory of its own, then puts it in its place in one step. */
async function intoCache(cacheDir: string, produce: (directory: string) => Promise<string>): Promise<string> {
  const directory = mkdtempSync(join(cacheDir, 'temporal-unfinished-'));
  try {
    const produced = await produce(directory);
    if (!(await runs(produced))) throw new Error(`the executable that arrived does not run here`);
    renameSync(produced, cachedPath(cacheDir));
    return cachedPath(cacheDir);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * The SDK downloads while it starts a server, in native code that cannot be interrupted: so it runs in a process of
 * its own, and only when the network answers at all.
 */
const DOWNLOAD_SCRIPT = `
const [testing, downloadDir] = process.argv.slice(1);
const { default: { TestWorkflowEnvironment } } = await import(testing);
const executable = { type: 'cached-download', downloadDir };
const environment = await TestWorkflowEnvironment.createLocal({ server: { executable } });
await environment.teardown();
`;

async function downloadBySdk(directory: string, options: FindTemporalOptions): Promise<string> {
  const service = options.downloadService ?? SDK_DOWNLOAD_SERVICE;
  await expectNetwork(service, options.networkPatienceMs ?? NETWORK_PATIENCE_MS);
  options.say("downloading it by the Temporal SDK's own means");
  const testing = pathToFileURL(createRequire(import.meta.url).resolve('@temporalio/testing')).href;
  const answer = await run(
    process.execPath,
    ['--input-type=module', '--eval', DOWNLOAD_SCRIPT, testing, directory],
    { timeout: DOWNLOAD_DEADLINE_MS, env: options.environment },
  );
  const name = readdirSync(directory).find((file) => file.startsWith('temporal'));
  if (answer.error || !name) {
    throw new Error(`the SDK's download failed: ${lastLine(answer.stderr) || answer.error?.message}`);
  }
  return join(directory, name);
}

async function expectNetwork(service: string, patienceMs: number): Promise<void> {
  try {
    const os = platform() === 'win32' ? 'windows' : platform();
    const query = `?platform=${os}&arch=${arch() === 'x64' ? 'amd64' : arch()}`;
    const signal = AbortSignal.timeout(patienceMs);
    const answer = await fetch(service + query, { signal });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const { archiveUrl } = (await answer.json()) as { archiveUrl: string };
    await fetch(archiveUrl, { method: 'HEAD', signal });
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the SDK's download is out of reach: ${new URL(service).host}: ${reason}`);
  }
}

async function buildByGo(directory: string, options: FindTemporalOptions): Promise<string> {
  const { PATH = '', HOME = homedir() } = options.environment;
  const path = [PATH, ...(options.goDirectories ?? USUAL_GO_DIRECTORIES)].join(delimiter);
  const [go] = findOnPath('go', path);
  if (!go) throw new Error('no `go` on PATH to build it with');
  const begun = Date.now();
  options.say(`building it by \`go install ${GO_MODULE}\`; this takes 2 to 3 minutes, once`);
  const progress = setInterval(() => {
    options.say(`still building, ${Math.round((Date.now() - begun) / 1000)} s so far`);
  }, PROGRESS_EVERY_MS);
  try {
    const answer = await run(go, ['install', GO_MODULE], {
      timeout: BUILD_DEADLINE_MS,
      cwd: directory,
      env: { ...options.environment, PATH: path, HOME, CGO_ENABLED: '0', GOBIN: directory },
    });
    if (answer.error) {
      throw new Error(
        `\`go install ${GO_MODULE}\` failed: ${lastLine(answer.stderr) || answer.error.message}`,
      );
    }
  } finally {
    clearInterval(progress);
  }
  options.say(`built in ${Math.round((Date.now() - begun) / 1000)} s`);
  return join(directory, platform() === 'win32' ? 'temporal.exe' : 'temporal');
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

type RunOptions = { timeout: number; cwd?: string; env?: NodeJS.ProcessEnv };

function run(command: string, args: string[], options: RunOptions) {
  return new Promise<{ error: ExecFileException | null; stdout: string; stderr: string }>((resolve) => {
    execFile(command, args, { ...options, maxBuffer: 16 * 1024 ** 2 }, (error, stdout, stderr) =>
      resolve({ error, stdout, stderr }),
    );
  });
}
