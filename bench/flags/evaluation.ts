import { once } from 'node:events';
import { GrowthBookClient } from '@growthbook/growthbook';
import { FlagdCore } from '@openfeature/flagd-core';
import { InMemStorageProvider, Unleash, UnleashEvents } from 'unleash-client';
import type { FlagDefinition } from '../../src/domain/flags/definition.ts';
import { rolloutWeights } from '../../src/domain/flags/weights.ts';
import { compileFlags } from '../../src/flags/evaluation/flag-set.ts';
import { type BenchRow, median, row } from '../support/report.ts';

/** One evaluator with the flag in it and a context for each user. */
type Contender = {
  name: string;
  /** Is the flag on for the user of that number? */
  isOn: (user: number) => boolean;
  stop?: () => void;
};

const KEY = 'new-checkout';
const USERS = Array.from({ length: 4_096 }, (_, i) => `user-${i}`);
const GOALS: Record<string, string> = {
  '@openfeature/flagd-core': '>= 3',
  '@growthbook/growthbook': '>= 4',
  'unleash-client': '>= 8',
};
const PASSES = 25;
const WARM_UP_ROUNDS = 3;
/** Rounds are short and many, so that whatever else the machine does falls on all alike. */
const ROUNDS_PER_REPEAT = 5;

const FLAG: FlagDefinition = {
  key: KEY,
  state: 'enabled',
  variants: { on: true, off: false },
  defaultVariant: 'off',
  salt: KEY,
  rules: [],
  split: { weights: rolloutWeights('on', 'off', 50) },
};

/** Nanoseconds for one evaluation of a 50 % flag by user key, in process, against libraries that do the same. */
export async function benchFlagsEvaluation({
  repeat,
  say,
}: {
  repeat: number;
  say: (line: string) => void;
}): Promise<BenchRow[]> {
  const contenders = [cutover(), flagd(), growthbook(), await unleash()];
  try {
    for (const contender of contenders) checkShare(contender);
    const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
    const rounds = repeat * ROUNDS_PER_REPEAT;
    for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
      for (const contender of contenders) {
        const nanoseconds = measure(contender);
        if (round >= WARM_UP_ROUNDS) times.get(contender.name)?.push(nanoseconds);
      }
    }
    say(`${rounds} rounds of ${PASSES * USERS.length} evaluations each`);
    return figuresOf(times);
  } finally {
    for (const contender of contenders) contender.stop?.();
  }
}

function figuresOf(times: ReadonlyMap<string, number[]>): BenchRow[] {
  const ours = median(times.get('cutover') ?? []);
  return [...times].map(([name, nanoseconds]) => {
    const time = median(nanoseconds);
    const goal = GOALS[name];
    return row(name, time, 'ns', goal === undefined ? {} : { ratio: time / ours, goal });
  });
}

/** Nanoseconds for one evaluation: all users in turn, again and again. */
function measure({ isOn }: Contender): number {
  let on = 0;
  const start = performance.now();
  for (let pass = 0; pass < PASSES; pass += 1) {
    for (let user = 0; user < USERS.length; user += 1) if (isOn(user)) on += 1;
  }
  const elapsed = performance.now() - start;
  if (on === 0) throw new Error('the flag was never on');
  return (elapsed * 1e6) / (PASSES * USERS.length);
}

/** A contender that does not split users in halves is not doing the work. */
function checkShare({ name, isOn }: Contender): void {
  const on = USERS.filter((_, user) => isOn(user)).length;
  const share = on / USERS.length;
  if (share < 0.45 || share > 0.55) {
    throw new Error(`${name}: the 50 % flag is on for ${on} of ${USERS.length} users`);
  }
}

function cutover(): Contender {
  const flags = compileFlags([FLAG]);
  const contexts = USERS.map((targetingKey) => ({ targetingKey }));
  return { name: 'cutover', isOn: (user) => flags.evaluate(KEY, contexts[user] ?? {}).value === true };
}

/** In the shortest form that a 50 % flag can be written in, which is also the fastest one. */
function flagd(): Contender {
  const core = new FlagdCore();
  const flag = {
    state: 'ENABLED',
    variants: FLAG.variants,
    defaultVariant: 'off',
    targeting: {
      fractional: [
        ['on', 50],
        ['off', 50],
      ],
    },
  };
  core.setConfigurations(JSON.stringify({ flags: { [KEY]: flag } }));
  const contexts = USERS.map((targetingKey) => ({ targetingKey }));
  return {
    name: '@openfeature/flagd-core',
    isOn: (user) => core.resolveBooleanEvaluation(KEY, false, contexts[user]).value,
  };
}

function growthbook(): Contender {
  const client = new GrowthBookClient().initSync({
    payload: {
      features: {
        [KEY]: {
          defaultValue: false,
          rules: [{ force: true, coverage: 0.5, hashAttribute: 'id' }],
        },
      },
    },
  });
  const contexts = USERS.map((id) => ({ attributes: { id } }));
  return {
    name: '@growthbook/growthbook',
    isOn: (user) => client.isOn(KEY, contexts[user] ?? { attributes: {} }),
    stop: () => client.destroy(),
  };
}

async function unleash(): Promise<Contender> {
  const feature = {
    name: KEY,
    type: 'release',
    enabled: true,
    stale: false,
    impressionData: false,
    project: 'default',
    variants: [],
    strategies: [
      {
        name: 'flexibleRollout',
        parameters: { rollout: '50', stickiness: 'userId', groupId: KEY },
        constraints: [],
      },
    ],
  };
  // Bootstrapped and never refreshed, it asks no server.
  const client = new Unleash({
    url: 'http://127.0.0.1/api/',
    appName: 'bench',
    bootstrap: { data: [feature] },
    refreshInterval: 0,
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
  });
  await once(client, UnleashEvents.Ready);
  const contexts = USERS.map((userId) => ({ userId }));
  return {
    name: 'unleash-client',
    isOn: (user) => client.isEnabled(KEY, contexts[user]),
    stop: () => client.destroy(),
  };
}
