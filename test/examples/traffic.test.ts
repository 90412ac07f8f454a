import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadShared } from '../../examples/shared/sql-client.ts';
import { bucket, SimulatedApplication, startTraffic } from '../../examples/shared/traffic.ts';
import { createTestDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';

const flag = 'v2_canonical_system';

describe('users', () => {
  test('keep the new behaviour as the percentage grows', () => {
    const exposed = (percentage: number) => {
      const requests = new SimulatedApplication(flag, {}).requests(1_000, percentage);
      return new Set(requests.filter(({ variant }) => variant === 'on').map(({ user_key }) => user_key));
    };
    const [ten, fifty] = [exposed(10), exposed(50)];
    expect([...ten].filter((user) => !fifty.has(user))).toEqual([]);
    expect(exposed(0).size).toBe(0);
    expect(exposed(100).size).toBe(1_000);
    expect(ten.size).toBeGreaterThan(70);
    expect(ten.size).toBeLessThan(130);
  });

  test('are in other places on the scale of another flag', () => {
    expect(bucket('a', 'user-1')).not.toBe(bucket('b', 'user-1'));
  });
});

describe('what users live through', () => {
  const share = (samples: { ok: boolean }[]) => samples.filter(({ ok }) => !ok).length / samples.length;

  test('the healthy new behaviour never fails, and the old one hardly ever', () => {
    const requests = new SimulatedApplication(flag, {}).requests(20_000, 50);
    expect(share(requests.filter(({ variant }) => variant === 'on'))).toBe(0);
    const old = share(requests.filter(({ variant }) => variant === 'off'));
    expect(old).toBeGreaterThan(0);
    expect(old).toBeLessThanOrEqual(0.001);
  });

  test('latencies stay below what the gates allow', () => {
    const slowest = (kind: string) =>
      Math.max(
        ...new SimulatedApplication(flag, {})
          .requests(5_000, 100)
          .filter((sample) => sample.kind === kind)
          .map(({ ms }) => ms),
      );
    expect(slowest('api')).toBeLessThan(500);
    expect(slowest('widget')).toBeLessThan(200);
  });

  test('from failAt on, every stretch of fifty requests has more failures than a gate allows', () => {
    const application = new SimulatedApplication(flag, { failAt: 50 });
    const on = (count: number, percentage: number) =>
      application.requests(count, percentage).filter(({ variant }) => variant === 'on');
    expect(share(on(5_000, 10))).toBe(0);
    expect(share(on(5_000, 49))).toBe(0);

    const broken = on(2_000, 50);
    expect(broken[0]?.ok).toBe(false);
    for (let from = 0; from + 50 <= broken.length; from += 7) {
      expect(share(broken.slice(from, from + 50))).toBeGreaterThanOrEqual(0.02);
    }
    expect(new Set(broken.filter(({ ok }) => !ok).map(({ kind }) => kind)).size).toBe(3);
  });
});

describe('traffic against a database', () => {
  let database: Awaited<ReturnType<typeof createTestDatabase>>;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await loadShared(client);
  });
  beforeEach(async () => {
    await client.query('TRUNCATE telemetry');
    await setFlag(false, 0);
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const setFlag = (enabled: boolean, percentage: number) =>
    client.query('UPDATE feature_flags SET enabled = $2, rollout_percentage = $3 WHERE name = $1', [
      flag,
      enabled,
      percentage,
    ]);

  async function rows(condition: string): Promise<number> {
    const { rows: counted } = await client.query(
      `SELECT count(*)::int AS n FROM telemetry WHERE ${condition}`,
    );
    return counted[0]?.n ?? 0;
  }

  test('a flag that is disabled is off for everybody, whatever its percentage', async () => {
    await setFlag(false, 100);
    const traffic = startTraffic({ url: database.url, flags: [flag], rate: 1_000 });
    await until(async () => (await rows('true')) >= 200, { what: 'telemetry' });
    await traffic.stop();
    expect(await rows("variant = 'on'")).toBe(0);
  });

  test('it follows the flag, and each flag by itself', async () => {
    await setFlag(true, 10);
    const traffic = startTraffic({
      url: database.url,
      flags: [flag, 'multi_integration_campaigns'],
      rate: 1_000,
      failAt: 50,
    });
    try {
      await until(async () => (await rows("variant = 'on'")) >= 20, { what: 'users at 10 %' });
      expect(await rows("variant = 'on' AND NOT ok")).toBe(0);
      await setFlag(true, 50);
      await until(async () => (await rows("variant = 'on' AND NOT ok")) >= 3, { what: 'failures at 50 %' });
      expect(await rows("variant = 'on' AND flag <> 'v2_canonical_system'")).toBe(0);
    } finally {
      await traffic.stop();
    }
  });

  test('it goes on after its connection was cut, and ends when stopped', async () => {
    const errors: Error[] = [];
    const traffic = startTraffic({
      url: database.url,
      flags: [flag],
      rate: 1_000,
      onError: (error) => errors.push(error),
    });
    await until(async () => (await rows('true')) > 0, { what: 'telemetry' });
    const cut = await client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = 'example-traffic' AND datname = current_database()`,
    );
    expect(cut.rowCount).toBe(1);
    await until(() => traffic.stats().reconnects > 0, { what: 'the loss to be noticed' });
    const written = traffic.stats().rows;
    await until(() => traffic.stats().rows > written, { what: 'traffic to go on' });

    const { rows: total } = await traffic.stop();
    expect(errors).not.toEqual([]);
    // A batch may have been written without its confirmation reaching the application.
    expect(await rows('true')).toBeGreaterThanOrEqual(total);
  });
});
