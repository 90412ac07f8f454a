import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApi } from './test-api.ts';

type Operation = {
  summary?: string;
  responses: Record<string, unknown>;
  security: unknown[];
  parameters?: { name: string }[];
};
type Document = {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown>; securitySchemes: unknown };
};

let api: Awaited<ReturnType<typeof startTestApi>>;
let document: Document;
beforeAll(async () => {
  api = await startTestApi();
  document = (await api.call(undefined, 'GET', '/api/openapi.json')).body as Document;
});
afterAll(() => api?.close());

test('the document is OpenAPI 3.1 and every reference in it leads somewhere', () => {
  expect(document.openapi).toBe('3.1.0');
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, to = '']) => to);
  expect(references.length).toBeGreaterThan(20);
  for (const reference of references) {
    expect(reference).toMatch(/^#\/components\/schemas\/\w+$/);
    expect(document.components.schemas).toHaveProperty([reference.split('/').at(-1) ?? '']);
  }
});

test('every operation has a summary, its success and its errors, its path parameters and its access', () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const where = `${method} ${path}`;
      expect(operation.summary, where).toBeTruthy();
      expect(
        Object.keys(operation.responses).some((status) => status.startsWith('2')),
        where,
      ).toBe(true);
      expect(operation.responses, where).toHaveProperty(['default', 'content', 'application/problem+json']);
      expect(operation.security, where).toBeInstanceOf(Array);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = (operation.parameters ?? []).map(({ name }) => name);
      expect(declared, where).toEqual(expect.arrayContaining(inPath));
    }
  }
});

test('no schema is published that nothing uses', () => {
  const text = JSON.stringify(document);
  for (const name of Object.keys(document.components.schemas)) {
    expect(text).toContain(`#/components/schemas/${name}"`);
  }
});

test('the docs page is served', async () => {
  const { status, text } = await api.call(undefined, 'GET', '/api/docs/');
  expect(status).toBe(200);
  expect(text).toContain('swagger-ui');
});
