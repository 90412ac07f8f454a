import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Token } from '../config.ts';
import { ROLES } from '../domain/role.ts';
import { commandLineOf } from './server-process.ts';

/** What a running stack tells other processes of the same user, in `dev.json`. */
export type DevState = {
  /** Process that holds the stack, with its command line to tell it from a later process of the same id. */
  pid: number;
  command: string;
  startedAt: string;
  /** The addresses are missing while the stack is still on its way up. */
  databaseUrl?: string;
  temporalAddress?: string;
  temporalNamespace?: string;
  webUiUrl?: string;
  apiUrl?: string;
};

export type DevAddresses = Omit<DevState, 'pid' | 'command' | 'startedAt'>;

/** The state of the stack that runs in this directory; undefined when none does. */
export function readDevState(dir: string): DevState | undefined {
  const state = readJson<DevState>(stateFile(dir));
  return state && commandLineOf(state.pid) === state.command ? state : undefined;
}

/**
 * Takes the directory for this process.
 * @throws when a stack runs in it already, saying which and where.
 */
export function claimDirectory(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const { pid } = process;
  const claim: DevState = { pid, command: commandLineOf(pid), startedAt: new Date().toISOString() };
  while (!createFile(stateFile(dir), claim)) {
    const other = readDevState(dir);
    if (other) throw new Error(alreadyRunning(dir, other));
    rmSync(stateFile(dir), { force: true });
  }
}

/** Adds addresses to what the running stack tells. */
export function publishAddresses(dir: string, addresses: DevAddresses): void {
  const state = { ...readJson<DevState>(stateFile(dir)), ...addresses };
  // Readers see the old state or the new one, never a part.
  const unfinished = `${stateFile(dir)}.new`;
  writeFileSync(unfinished, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(unfinished, stateFile(dir));
}

export function releaseDirectory(dir: string): void {
  rmSync(stateFile(dir), { force: true });
}

/** A token for each role, made at the first call and kept; readable by this user only. */
export function devTokens(dir: string): Token[] {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'tokens.json');
  const fresh = ROLES.map((role): Token => ({ name: role, role, token: randomBytes(24).toString('hex') }));
  if (createFile(file, fresh)) return fresh;
  const kept = readJson<Token[]>(file);
  if (!kept) throw new Error(`${file} holds no tokens; remove it, and the next start makes new ones.`);
  return kept;
}

/** Creates a file that other users cannot read, whole or not at all; false when it exists. */
function createFile(file: string, content: unknown): boolean {
  const unfinished = `${file}.${process.pid}`;
  writeFileSync(unfinished, JSON.stringify(content, null, 2), { mode: 0o600 });
  try {
    linkSync(unfinished, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(unfinished);
  }
}

function stateFile(dir: string): string {
  return join(dir, 'dev.json');
}

function alreadyRunning(dir: string, state: DevState): string {
  const where = state.apiUrl ? `its API is at ${state.apiUrl}` : 'it is still on its way up';
  return (
    `A stack already runs in ${dir} (process ${state.pid}, since ${state.startedAt}); ${where}. ` +
    'Use that one, stop it with Ctrl+C in its terminal, or set CUTOVER_DIR to another directory.'
  );
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
