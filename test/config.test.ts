import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { apiConfig, ConfigError, loadConfig, maskUrl, workerConfig } from '../src/config.ts';

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('expected a ConfigError');
}

describe('loadConfig', () => {
  test('needs nothing to be set, and counts an empty variable as not set', () => {
    const config = loadConfig({ CUTOVER_PORT: '', CUTOVER_DATABASE_URL: ' ' });
    expect(config).toMatchObject({
      temporal: { namespace: 'default' },
      targets: {},
      tokens: [],
      host: '127.0.0.1',
      port: 8080,
      transforms: [],
      logLevel: 'info',
      dir: '.cutover',
    });
    expect(config.databaseUrl).toBeUndefined();
    expect(config.temporal.tls).toBeUndefined();
  });

  test('reads targets from JSON and from one variable each', () => {
    const config = loadConfig({
      CUTOVER_TARGETS: '{"shop": {"url": "postgres://a@h/shop", "poolSize": 3, "budget": 2}}',
      CUTOVER_TARGET_SHOP_EU_URL: 'postgresql://a@h/eu',
      CUTOVER_TARGET_SHOP_US_URL: 'postgresql://a@h/us',
      CUTOVER_TARGET_SHOP_US_POOL_SIZE: '20',
      CUTOVER_TARGET_SHOP_US_BUDGET: '30',
    });
    expect(config.targets).toEqual({
      shop: { url: 'postgres://a@h/shop', poolSize: 3, budget: 2 },
      'shop-eu': { url: 'postgresql://a@h/eu', poolSize: 8 },
      'shop-us': { url: 'postgresql://a@h/us', poolSize: 20, budget: 30 },
    });
  });

  test('reports every problem at once, each with its variable and what would be right', () => {
    const problems = problemsOf(() =>
      loadConfig({
        CUTOVER_DATABASE_URL: 'mysql://u:hunter2@h/db',
        CUTOVER_TEMPORAL_ADDRESS: 'http://h:7233',
        CUTOVER_TARGETS: '{"Shop": {"url": "postgres://h/db"}, "b": {"url": "x", "poolSize": 0, "pool": 1}}',
        CUTOVER_TARGET_EU_POOL_SIZE: '4',
        CUTOVER_TARGET_US_URL: 'postgresql://a@h/us',
        CUTOVER_TARGET_US_BUDGET: 'all',
        CUTOVER_TOKENS: '[{"name": "", "role": "root", "token": "short"}]',
        CUTOVER_PORT: 'eighty',
        CUTOVER_LOG_LEVEL: 'loud',
        CUTOVER_WEB_UI_URL: 'temporal',
        CUTOVER_TEMPORAL_TLS_CA: '/nowhere/ca.pem',
      }),
    );
    const named = (start: string) => problems.filter((problem) => problem.startsWith(start));
    expect(named('CUTOVER_DATABASE_URL: write a URL like postgresql://')).toHaveLength(1);
    expect(named('CUTOVER_TEMPORAL_ADDRESS: write host:port')).toHaveLength(1);
    expect(named('CUTOVER_TARGETS.Shop: ')).toHaveLength(1);
    expect(named('CUTOVER_TARGETS.b.url: write a URL')).toHaveLength(1);
    expect(named('CUTOVER_TARGETS.b.poolSize: write a whole number')).toHaveLength(1);
    expect(named('CUTOVER_TARGETS.b: write {"shop"')).toHaveLength(1);
    expect(named('CUTOVER_TARGET_EU_URL: write a URL')).toHaveLength(1);
    expect(named('CUTOVER_TARGET_US_BUDGET: write a whole number')).toHaveLength(1);
    expect(named('CUTOVER_TOKENS.0.role: write one of viewer, operator, approver, admin')).toHaveLength(1);
    expect(named('CUTOVER_TOKENS.0.token: write at least 16')).toHaveLength(1);
    expect(named('CUTOVER_PORT: write a port number')).toHaveLength(1);
    expect(named('CUTOVER_LOG_LEVEL: write one of')).toHaveLength(1);
    expect(named('CUTOVER_WEB_UI_URL: write a URL')).toHaveLength(1);
    expect(named('CUTOVER_TEMPORAL_TLS_CA: name a file')).toHaveLength(1);
  });

  test('never repeats a secret', () => {
    const problems = problemsOf(() =>
      loadConfig({
        CUTOVER_DATABASE_URL: 'http://u:hunter2@h/db',
        CUTOVER_TARGETS: '{"shop": {"url": "postgres://u:hunter2@h/db"}', // a brace is missing
        CUTOVER_TARGET_EU_URL: 'u:hunter2@h',
        CUTOVER_TOKENS: '[{"name": "ana", "role": "admin", "token": "hunter2"}]',
      }),
    );
    expect(problems).toHaveLength(4);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  test('refuses a token that two people share, and a target configured twice', () => {
    const shared = '"role": "admin", "token": "0123456789abcdef"';
    expect(
      problemsOf(() =>
        loadConfig({ CUTOVER_TOKENS: `[{"name": "a", ${shared}}, {"name": "b", ${shared}}]` }),
      ),
    ).toEqual([expect.stringContaining('two entries share one')]);
    expect(
      problemsOf(() =>
        loadConfig({
          CUTOVER_TARGETS: '{"shop": {"url": "postgres://h/db"}}',
          CUTOVER_TARGET_SHOP_URL: 'postgres://h/db',
        }),
      ),
    ).toEqual([expect.stringContaining('the target "shop"')]);
  });

  test('reads certificates for Temporal, and turns TLS on for an API key', () => {
    const dir = mkdtempSync(join(tmpdir(), 'cutover-config-'));
    try {
      const path = join(dir, 'pem');
      writeFileSync(path, 'a certificate');
      const config = loadConfig({ CUTOVER_TEMPORAL_TLS_CERT: path, CUTOVER_TEMPORAL_TLS_KEY: path });
      const bytes = Buffer.from('a certificate');
      expect(config.temporal.tls).toEqual({ clientCertPair: { crt: bytes, key: bytes } });
      expect(problemsOf(() => loadConfig({ CUTOVER_TEMPORAL_TLS_CERT: path }))).toEqual([
        expect.stringContaining('set both, or neither'),
      ]);
    } finally {
      rmSync(dir, { recursive: true });
    }
    expect(loadConfig({ CUTOVER_TEMPORAL_API_KEY: 'key' }).temporal.tls).toBe(true);
    expect(loadConfig({ CUTOVER_TEMPORAL_TLS: 'false' }).temporal.tls).toBe(false);
  });

  test('keeps the cache per user, where the system says', () => {
    expect(loadConfig({ XDG_CACHE_HOME: '/c' }).cacheDir).toBe(join('/c', 'cutover'));
    expect(loadConfig({ XDG_CACHE_HOME: '/c', CUTOVER_CACHE_DIR: '/d' }).cacheDir).toBe('/d');
  });
});

describe('parts of the configuration', () => {
  test('name every variable that is missing', () => {
    expect(problemsOf(() => apiConfig(loadConfig({})))).toEqual([
      expect.stringContaining('CUTOVER_DATABASE_URL'),
      expect.stringContaining('CUTOVER_TOKENS'),
      expect.stringContaining('CUTOVER_TEMPORAL_ADDRESS'),
    ]);
    expect(problemsOf(() => workerConfig(loadConfig({ CUTOVER_TEMPORAL_ADDRESS: 'h:7233' })))).toEqual([
      expect.stringContaining('CUTOVER_DATABASE_URL'),
      expect.stringContaining('CUTOVER_TARGETS'),
    ]);
  });

  test('carry what their process needs', () => {
    const config = loadConfig({
      CUTOVER_DATABASE_URL: 'postgres://h/control',
      CUTOVER_TEMPORAL_ADDRESS: '[::1]:7233',
      CUTOVER_TARGET_SHOP_URL: 'postgres://h/shop',
      CUTOVER_TOKENS: '[{"name": "ana", "role": "admin", "token": "0123456789abcdef"}]',
      CUTOVER_TRANSFORMS: './a.ts, ./b.ts',
      CUTOVER_WEB_UI_URL: 'http://h:8233/',
    });
    expect(apiConfig(config)).toMatchObject({
      databaseUrl: 'postgres://h/control',
      temporal: { address: '[::1]:7233', namespace: 'default' },
      webUiUrl: 'http://h:8233',
    });
    expect(workerConfig(config)).toMatchObject({ transforms: ['./a.ts', './b.ts'] });
  });
});

test('maskUrl hides passwords and keeps the rest', () => {
  expect(maskUrl('postgres://u:p%40ss@h:5432/db?sslpassword=x&a=b')).toBe(
    'postgres://u:***@h:5432/db?sslpassword=***&a=b',
  );
  expect(maskUrl('u:secret@h')).not.toContain('secret');
});
