import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { apiConfig, loadConfig, workerConfig } from '../src/config.ts';

type Service = {
  image?: string;
  build?: string;
  ports?: string[];
  command?: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: unknown;
  configs?: { source: string }[];
};
type Compose = { services: Record<string, Service>; configs: Record<string, unknown> };

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(`${root}/docker-compose.yml`, 'utf8');
const compose: Compose = parse(text, { merge: true });
const services = Object.entries(compose.services);

/** Variables as Compose fills them in when none is set: the defaults, the inner ones first. */
function withDefaults(value: string): string {
  const filled = value.replace(/\$\{[A-Z_]+:-([^${}]*)\}/g, '$1');
  return filled === value ? value : withDefaults(filled);
}

function environmentOf(name: string): Record<string, string> {
  const entries = Object.entries(compose.services[name]?.environment ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, withDefaults(String(value))]));
}

describe('docker-compose.yml', () => {
  test('has PostgreSQL, Temporal with its Web UI, the API and a worker', () => {
    expect(services.map(([name]) => name)).toEqual(
      expect.arrayContaining(['postgres', 'temporal', 'temporal-ui', 'api', 'worker']),
    );
    expect(compose.services.api?.command).toEqual(['api']);
    expect(compose.services.worker?.command).toEqual(['worker']);
  });

  test.each(services)('%s has an image with a version, or is built here', (_name, service) => {
    if (service.build) expect(existsSync(`${root}/${service.build}/Dockerfile`)).toBe(true);
    else expect(service.image).toMatch(/^[a-z/-]+:\d[\d.]*$/);
  });

  test.each(services)('%s opens ports on the loopback interface only', (_name, service) => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{[A-Z_]+:-\d+\}:\d+$/);
  });

  test.each(services)(
    '%s waits only for what is there, and for health only where it is checked',
    (_name, service) => {
      for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(compose.services[other]).toBeDefined();
        if (condition === 'service_healthy') expect(compose.services[other]?.healthcheck).toBeDefined();
      }
      for (const { source } of service.configs ?? []) expect(compose.configs[source]).toBeDefined();
    },
  );

  test('configures the API and the worker with all that they need', () => {
    const api = apiConfig(loadConfig(environmentOf('api')));
    expect(api).toMatchObject({ host: '0.0.0.0', port: 8080, webUiUrl: 'http://127.0.0.1:8233' });
    expect(api.tokens).toMatchObject([{ role: 'admin' }]);
    const worker = workerConfig(loadConfig(environmentOf('worker')));
    expect(worker.temporal.address).toBe('temporal:7233');
    expect(worker.targets.app?.url).toBe('postgresql://cutover:cutover-dev@postgres:5432/app');
  });
});
