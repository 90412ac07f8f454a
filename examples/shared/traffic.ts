import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type Random, seededRandom } from './random.ts';

/*
 * The application under load, as far as a rollout can see it: users come, the flag decides which behaviour each of
 * them gets, and every request leaves a row of telemetry.
 */

export type TrafficOptions = {
  /** Connection to the database of the systems, as a role that may take on `app_user`. */
  url: string;
  flags: string[];
  /** Rows of telemetry per second, for each flag. */
  rate?: number;
  /** The new behaviour begins to fail for 1 request in 19 once the flag's percentage has reached this. */
  failAt?: number;
  seed?: number;
  /** Told of each lost connection; traffic goes on by itself. */
  onError?: (error: Error) => void;
};

export type TrafficStats = { rows: number; failures: number; reconnects: number };

export type Traffic = {
  /** Counts so far. */
  stats(): TrafficStats;
  /** Ends the traffic once the batch in flight is written, and closes the connection. */
  stop(): Promise<TrafficStats>;
};

type Sample = {
  kind: string;
  ok: boolean;
  ms: number;
  flag: string;
  variant: 'on' | 'off';
  user_key: string;
};

const USERS = 1_000;
const BATCHES_PER_SECOND = 10;
const RECONNECT_MS = 200;

/** 60 % API requests, 20 % widgets, 20 % campaigns created; the order is fixed, so that every ten rows hold them all. */
const KINDS = [
  'api',
  'widget',
  'api',
  'campaign_create',
  'api',
  'api',
  'widget',
  'api',
  'campaign_create',
  'api',
];

/** Milliseconds from and to; the slowest stays below what the plans' gates allow. */
const LATENCY: Record<string, readonly [number, number]> = {
  api: [40, 320],
  widget: [25, 140],
  campaign_create: [80, 400],
};

/** 1 in 1,000 requests of the old behaviour fails; no application is perfect. */
const OLD_FAILS_EVERY = 1_000;
/** About 5 %, and no divisor of the order of kinds, so that every kind of request fails. */
const BROKEN_FAILS_EVERY = 19;

/**
 * Position of a user on the flag's scale from 0 up to, but not including, 100: always the same, so that a growing
 * percentage adds users and never takes one away.
 */
export function bucket(flag: string, user: string): number {
  return createHash('sha256').update(`${flag}:${user}`).digest().readUInt32BE(0) / 42_949_672.96;
}

/** Starts to simulate users until stopped. Survives a database that goes away and comes back. */
export function startTraffic(options: TrafficOptions): Traffic {
  const stopping = new AbortController();
  const stats: TrafficStats = { rows: 0, failures: 0, reconnects: 0 };
  const ended = run(options, stopping.signal, stats);
  return {
    stats: () => ({ ...stats }),
    stop: async () => {
      stopping.abort();
      await ended;
      return { ...stats };
    },
  };
}

async function run(options: TrafficOptions, signal: AbortSignal, stats: TrafficStats): Promise<void> {
  const application = new Map(
    options.flags.map((flag, index) => [flag, new SimulatedApplication(flag, options, index)]),
  );
  while (!signal.aborted) {
    try {
      await serve(options, application, signal, stats);
    } catch (error) {
      stats.reconnects += 1;
      options.onError?.(error as Error);
      await wait(RECONNECT_MS, signal);
    }
  }
}

/** Serves users over one connection until it is lost or the traffic stops. */
async function serve(
  options: TrafficOptions,
  application: Map<string, SimulatedApplication>,
  signal: AbortSignal,
  stats: TrafficStats,
): Promise<void> {
  // As the application's own role, so that row-level security decides which flags it sees.
  const client = new pg.Client({
    connectionString: options.url,
    options: '-c role=app_user',
    application_name: 'example-traffic',
    connectionTimeoutMillis: 2_000,
  });
  // A connection that breaks between two queries says so here; the next query then fails.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const size = Math.max(1, Math.round((options.rate ?? 200) / BATCHES_PER_SECOND));
    while (!signal.aborted) {
      const percentages = await readFlags(client, options.flags);
      const samples = [...application].flatMap(([flag, simulated]) =>
        simulated.requests(size, percentages.get(flag) ?? 0),
      );
      await write(client, samples);
      stats.rows += samples.length;
      stats.failures += samples.filter(({ ok }) => !ok).length;
      await wait(1_000 / BATCHES_PER_SECOND, signal);
    }
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A flag that the application can't see is off for everybody. */
async function readFlags(client: pg.Client, flags: string[]): Promise<Map<string, number>> {
  const { rows } = await client.query<{ name: string; rollout_percentage: number }>(
    'SELECT name, rollout_percentage FROM feature_flags WHERE enabled AND name = ANY($1)',
    [flags],
  );
  return new Map(rows.map(({ name, rollout_percentage }) => [name, rollout_percentage]));
}

async function write(client: pg.Client, samples: Sample[]): Promise<void> {
  await client.query(
    `INSERT INTO telemetry (kind, ok, ms, flag, variant, user_key)
     SELECT kind, ok, ms, flag, variant, user_key
     FROM jsonb_to_recordset($1::jsonb)
       AS s (kind text, ok boolean, ms double precision, flag text, variant text, user_key text)`,
    [JSON.stringify(samples)],
  );
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * What users of one flag live through. Failures come by count, not by chance: healthy traffic can't breach a gate by
 * bad luck, and broken traffic fails from its first request on.
 */
export class SimulatedApplication {
  readonly #flag: string;
  readonly #failAt: number | undefined;
  readonly #random: Random;
  readonly #users: { key: string; bucket: number }[];
  readonly #served = { on: 0, off: 0 };
  #next = 0;
  #broken = 0;

  constructor(flag: string, options: Pick<TrafficOptions, 'failAt' | 'seed'>, index = 0) {
    this.#flag = flag;
    this.#failAt = options.failAt;
    this.#random = seededRandom((options.seed ?? 1) + index);
    this.#users = Array.from({ length: USERS }, (_, user) => {
      const key = `user-${user}`;
      return { key, bucket: bucket(flag, key) };
    });
  }

  /** The next requests, while the flag stands at this percentage. */
  requests(count: number, percentage: number): Sample[] {
    const failing = this.#failAt !== undefined && percentage >= this.#failAt;
    if (!failing) this.#broken = 0;
    return Array.from({ length: count }, () => this.#request(percentage, failing));
  }

  #request(percentage: number, failing: boolean): Sample {
    const user = this.#users[this.#next++ % USERS] ?? { key: 'user-0', bucket: 0 };
    const variant = user.bucket < percentage ? 'on' : 'off';
    const served = this.#served[variant]++;
    const kind = KINDS[served % KINDS.length] ?? 'api';
    const [low, high] = LATENCY[kind] ?? [40, 320];
    return {
      kind,
      ok: !this.#fails(variant, served, failing),
      ms: Math.round((low + this.#random() * (high - low)) * 10) / 10,
      flag: this.#flag,
      variant,
      user_key: user.key,
    };
  }

  #fails(variant: 'on' | 'off', served: number, failing: boolean): boolean {
    if (variant === 'off') return served % OLD_FAILS_EVERY === OLD_FAILS_EVERY - 1;
    return failing && this.#broken++ % BROKEN_FAILS_EVERY === 0;
  }
}
