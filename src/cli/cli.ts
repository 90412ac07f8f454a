import type { Command } from 'commander';
import { type Config, ConfigError, loadConfig, type Token } from '../config.ts';
import { devTokens, readDevState } from '../dev/state.ts';
import { ApiClient } from './api-client.ts';
import { CliError, EXIT, type ExitCode } from './exit.ts';
import { Output, type TextStream } from './output/output.ts';

/** What a command line runs in. */
export type Io = {
  stdout: TextStream;
  stderr: TextStream;
  /** The process's own unless given. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Aborted when the user wants to stop. */
  signal?: AbortSignal | undefined;
};

/** The work of a command; the exit code is 0 when it returns none. */
export type Work<A extends unknown[], O> = (cli: Cli, args: A, options: O) => Promise<ExitCode | undefined>;

/** Makes a commander action of a command's work; A are its arguments, O its own options, as declared beside it. */
export type Action = <A extends unknown[], O = Record<string, never>>(
  work: Work<A, O>,
) => (...all: unknown[]) => Promise<void>;

/** Adds commands to the program. */
export type Register = (program: Command, action: Action) => void;

/** Options that every command takes. */
export type GlobalOptions = {
  url?: string;
  token?: string;
  as?: string;
  dir?: string;
  json?: boolean;
  verbose?: boolean;
};

/** One call of the command line: its output, its configuration, its connection to the server. */
export class Cli {
  readonly io: Io;
  readonly out: Output;
  readonly options: GlobalOptions;
  #config: Config | undefined;

  constructor(io: Io, command: Command) {
    this.io = io;
    this.options = command.optsWithGlobals<GlobalOptions>();
    this.out = new Output(io.stdout, io.stderr, this.options.json === true);
  }

  get signal(): AbortSignal | undefined {
    return this.io.signal;
  }

  /** @throws CliError naming everything that is wrong in the environment. */
  get config(): Config {
    this.#config ??= readConfig(() => loadConfig(this.io.env));
    return this.#config;
  }

  /** Directory of the dev stack. */
  get dir(): string {
    return this.options.dir ?? this.config.dir;
  }

  /**
   * The server that the options name, else the environment, else the dev stack that runs here. A dev stack's token is
   * only ever sent to that stack.
   * @throws CliError when none of them names one.
   */
  client(): ApiClient {
    const configured = this.options.url ?? this.config.client.apiUrl;
    const dev = readDevState(this.dir);
    const url = configured ?? dev?.apiUrl;
    if (!url) {
      throw new CliError(`no server is named, and no dev stack runs in ${this.dir}`, {
        exitCode: EXIT.unreachable,
        next: 'start one with `cutover dev`, or name a server with --url or CUTOVER_API_URL',
      });
    }
    const isDev = dev?.apiUrl === url.replace(/\/+$/, '');
    return new ApiClient(url, this.#token(isDev ? devTokens(this.dir) : []));
  }

  #token(ofDevStack: Token[]): string | undefined {
    const { token, as } = this.options;
    if (token !== undefined) return token;
    if (as === undefined) {
      return this.config.client.token ?? ofDevStack.find(({ role }) => role === 'admin')?.token;
    }
    const named = ofDevStack.find(({ name }) => name === as);
    if (named) return named.token;
    const names = ofDevStack.map(({ name }) => name).join(', ');
    throw new CliError(
      names ? `the dev stack has no token for "${as}"` : '--as needs a dev stack of this directory',
      {
        exitCode: EXIT.usage,
        next: names ? `it has tokens for ${names}` : 'give a token with --token or CUTOVER_TOKEN',
      },
    );
  }
}

/** Turns what is wrong with the configuration into an error of the command line. */
export function readConfig<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CliError('the configuration is not right', {
      exitCode: EXIT.usage,
      details: [...error.problems],
      next: 'set these variables in the environment; the README lists them',
    });
  }
}

/**
 * Starts a server process; what it could not reach becomes an error that names the variable which holds the address.
 * @throws CliError with the exit code for an unreachable server, or the error as it is.
 */
export async function reachingServers<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const reason = unreachable(error);
    if (reason === undefined) throw error;
    throw new CliError(`a server that this process needs does not answer: ${reason}`, {
      exitCode: EXIT.unreachable,
      next: 'see that PostgreSQL (CUTOVER_DATABASE_URL) and Temporal (CUTOVER_TEMPORAL_ADDRESS) run, and check both addresses',
      cause: error,
    });
  }
}

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EAI_AGAIN',
]);

/** What could not be reached and why, in the words of the error that says so; undefined for any other error. */
function unreachable(error: unknown): string | undefined {
  if (error instanceof AggregateError) return error.errors.map(unreachable).find(Boolean);
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && UNREACHABLE.has(String(error.code))) return error.message;
  if (error.name === 'TransportError' || /timeout expired|connect timeout/i.test(error.message))
    return error.message;
  return unreachable(error.cause);
}
