import { homedir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import {
  type Environment,
  environmentSchema,
  type LOG_LEVELS,
  TARGETS_EXAMPLE,
  TOKENS_EXAMPLE,
  targetsSchema,
} from './config-schema.ts';
import type { Role } from './domain/role.ts';

/*
 * The only reader of the environment. `loadConfig` refuses what is wrong; `apiConfig` and `workerConfig` refuse
 * what a process needs and does not have, so that `cutover dev` starts with nothing configured at all.
 */

/** A bearer token of the API: who it stands for in the audit trail, and what it may do. */
export type Token = { name: string; role: Role; token: string };

/** A database that plans may change. */
export type TargetConfig = {
  url: string;
  /** Slots and connections that a worker has for it. */
  poolSize: number;
  /** Most connections that may migrate or restore its rows at once, over all workers; `poolSize` unless given. */
  budget?: number | undefined;
};

/** Where the Temporal server is; `address`, `tls` and `apiKey` fit `Connection.connect` as they are. */
export type TemporalConfig = {
  address: string;
  namespace: string;
  tls?: TemporalTls | undefined;
  apiKey?: string | undefined;
};

export type TemporalTls =
  | boolean
  | {
      serverNameOverride?: string;
      serverRootCACertificate?: Buffer;
      clientCertPair?: { crt: Buffer; key: Buffer };
    };

export type LogLevel = (typeof LOG_LEVELS)[number];

export type Config = {
  /** PostgreSQL URL of the control database. */
  databaseUrl?: string | undefined;
  temporal: Omit<TemporalConfig, 'address'> & { address?: string | undefined };
  targets: Record<string, TargetConfig>;
  tokens: Token[];
  host: string;
  /** Port of the API; 0 asks the system for a free one. */
  port: number;
  /** Modules that register TypeScript transforms, as paths. */
  transforms: string[];
  logLevel: LogLevel;
  /** Base of links into the Temporal Web UI, without a slash at its end. */
  webUiUrl?: string | undefined;
  /** What the command line talks to. */
  client: { apiUrl?: string | undefined; token?: string | undefined };
  /** Directory of the embedded stack's data. */
  dir: string;
  /** Directory per user for what is fetched or built once: the Temporal dev server. */
  cacheDir: string;
  /** Environment handed on to child processes. */
  environment: NodeJS.ProcessEnv;
};

export type ApiConfig = Pick<Config, 'tokens' | 'host' | 'port' | 'logLevel' | 'webUiUrl' | 'targets'> & {
  databaseUrl: string;
  temporal: TemporalConfig;
};

export type WorkerConfig = Pick<Config, 'transforms' | 'logLevel' | 'targets'> & {
  databaseUrl: string;
  temporal: TemporalConfig;
};

/** Everything that is wrong with the configuration; one problem a line, no value of a secret in it. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(['The configuration is not right:', ...problems.map((problem) => `  ${problem}`)].join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const TARGET_VARIABLE = /^CUTOVER_TARGET_([A-Z0-9][A-Z0-9_]*)_(URL|POOL_SIZE|BUDGET)$/;
const TARGET_SETTINGS = { URL: 'url', POOL_SIZE: 'poolSize', BUDGET: 'budget' } as const;

/**
 * Reads the configuration from the environment. A variable that is set to nothing counts as not set.
 * @throws {ConfigError} naming every variable that is wrong and what would be right.
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()));
  const parsed = environmentSchema.safeParse(present);
  const shorthand = readTargetVariables(present);
  const problems = [...(parsed.error?.issues.map(describeIssue) ?? []), ...shorthand.problems];
  if (parsed.data) problems.push(...contradictions(parsed.data, shorthand.targets));
  if (!parsed.data || problems.length > 0) throw new ConfigError(problems);
  return toConfig(parsed.data, shorthand.targets, env);
}

function toConfig(read: Environment, shorthand: Config['targets'], env: NodeJS.ProcessEnv): Config {
  return {
    databaseUrl: read.CUTOVER_DATABASE_URL,
    temporal: {
      address: read.CUTOVER_TEMPORAL_ADDRESS,
      namespace: read.CUTOVER_TEMPORAL_NAMESPACE,
      tls: temporalTls(read),
      apiKey: read.CUTOVER_TEMPORAL_API_KEY,
    },
    targets: { ...read.CUTOVER_TARGETS, ...shorthand },
    tokens: read.CUTOVER_TOKENS,
    host: read.CUTOVER_HOST,
    port: read.CUTOVER_PORT,
    transforms: read.CUTOVER_TRANSFORMS,
    logLevel: read.CUTOVER_LOG_LEVEL,
    webUiUrl: read.CUTOVER_WEB_UI_URL,
    client: { apiUrl: read.CUTOVER_API_URL, token: read.CUTOVER_TOKEN },
    dir: read.CUTOVER_DIR,
    cacheDir: read.CUTOVER_CACHE_DIR ?? join(read.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cutover'),
    environment: env,
  };
}

/** `CUTOVER_TARGET_SHOP_EU_URL` configures the target `shop-eu`. */
function readTargetVariables(env: NodeJS.ProcessEnv): { targets: Config['targets']; problems: string[] } {
  const raw: Record<string, Partial<Record<keyof TargetConfig, string>>> = {};
  for (const [variable, value] of Object.entries(env)) {
    const match = TARGET_VARIABLE.exec(variable);
    const name = match?.[1]?.toLowerCase().replaceAll('_', '-');
    const setting = match?.[2] as keyof typeof TARGET_SETTINGS | undefined;
    if (!name || !setting || value === undefined) continue;
    raw[name] = { ...raw[name], [TARGET_SETTINGS[setting]]: value };
  }
  const parsed = targetsSchema.safeParse(raw);
  if (parsed.data) return { targets: parsed.data, problems: [] };
  const problems = parsed.error.issues.map((issue) => {
    const [name = '', key] = issue.path.map(String);
    const variable = `CUTOVER_TARGET_${name.toUpperCase().replaceAll('-', '_')}`;
    const [setting = 'URL'] = Object.entries(TARGET_SETTINGS).find(([, name]) => name === key) ?? [];
    return `${variable}_${setting}: ${issue.message}`;
  });
  return { targets: {}, problems };
}

function contradictions(read: Environment, shorthand: Config['targets']): string[] {
  const twice = Object.keys(shorthand).filter((name) => name in read.CUTOVER_TARGETS);
  const problems = twice.map(
    (name) => `CUTOVER_TARGETS: has the target "${name}", and so has its own variable; keep one of the two`,
  );
  if (!read.CUTOVER_TEMPORAL_TLS_CERT !== !read.CUTOVER_TEMPORAL_TLS_KEY) {
    problems.push('CUTOVER_TEMPORAL_TLS_CERT, CUTOVER_TEMPORAL_TLS_KEY: set both, or neither');
  }
  return problems;
}

function temporalTls(read: Environment): TemporalTls | undefined {
  if (read.CUTOVER_TEMPORAL_TLS === 'false') return false;
  const serverNameOverride = read.CUTOVER_TEMPORAL_TLS_SERVER_NAME;
  const serverRootCACertificate = read.CUTOVER_TEMPORAL_TLS_CA;
  const { CUTOVER_TEMPORAL_TLS_CERT: crt, CUTOVER_TEMPORAL_TLS_KEY: key } = read;
  const details = {
    ...(serverNameOverride && { serverNameOverride }),
    ...(serverRootCACertificate && { serverRootCACertificate }),
    ...(crt && key && { clientCertPair: { crt, key } }),
  };
  if (Object.keys(details).length > 0) return details;
  return read.CUTOVER_TEMPORAL_TLS === 'true' || read.CUTOVER_TEMPORAL_API_KEY ? true : undefined;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return `${issue.path.map(String).join('.')}: ${issue.message}`;
}

/** @throws {ConfigError} naming every variable that the API needs and that is not set. */
export function apiConfig(config: Config): ApiConfig {
  const missing = config.tokens.length > 0 ? [] : [`CUTOVER_TOKENS: not set; write ${TOKENS_EXAMPLE}`];
  const { host, port, logLevel, webUiUrl, targets, tokens } = config;
  return { ...connections(config, missing), host, port, logLevel, webUiUrl, targets, tokens };
}

/** @throws {ConfigError} naming every variable that a worker needs and that is not set. */
export function workerConfig(config: Config): WorkerConfig {
  const missing =
    Object.keys(config.targets).length > 0
      ? []
      : [`CUTOVER_TARGETS: not set; write ${TARGETS_EXAMPLE}, or set CUTOVER_TARGET_<NAME>_URL`];
  const { transforms, logLevel, targets } = config;
  return { ...connections(config, missing), transforms, logLevel, targets };
}

function connections(config: Config, otherProblems: string[]): Pick<ApiConfig, 'databaseUrl' | 'temporal'> {
  const { databaseUrl, temporal } = config;
  const { address } = temporal;
  const problems = [...otherProblems];
  if (!databaseUrl) {
    problems.unshift(
      'CUTOVER_DATABASE_URL: not set; write a URL like postgresql://user:password@host:5432/database',
    );
  }
  if (!address) problems.push('CUTOVER_TEMPORAL_ADDRESS: not set; write host:port, as in 127.0.0.1:7233');
  if (!databaseUrl || !address || problems.length > 0) throw new ConfigError(problems);
  return { databaseUrl, temporal: { ...temporal, address } };
}

/** The URL with its password replaced, for logs and errors. */
export function maskUrl(url: string): string {
  const masked = URL.canParse(url) ? new URL(url) : undefined;
  // Without a host it is something else, such as `user:password@host`, where nobody can tell what is secret.
  if (!masked?.host) return '(not a URL)';
  if (masked.password) masked.password = '***';
  // Parameters may hold a password as well: sslpassword, password.
  for (const name of [...masked.searchParams.keys()]) {
    if (/password/i.test(name)) masked.searchParams.set(name, '***');
  }
  return masked.href;
}
