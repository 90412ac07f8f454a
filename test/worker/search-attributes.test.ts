import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../src/contracts/names.ts';
import { ensureSearchAttributes } from '../../src/worker/search-attributes.ts';
import { uniqueName } from '../support/unique-name.ts';

const { INDEXED_VALUE_TYPE_INT, INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;
let connection: Connection;
let namespace: string;

beforeAll(async () => {
  connection = await Connection.connect({ address: inject('temporalAddress') });
});
afterAll(() => connection.close());

async function freshNamespace(): Promise<void> {
  namespace = uniqueName();
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
}

test('search attributes are registered where they are missing, by several processes at once and again', async () => {
  await freshNamespace();
  await Promise.all([1, 2, 3].map(() => ensureSearchAttributes(connection, namespace)));
  await ensureSearchAttributes(connection, namespace);
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  for (const name of Object.values(SEARCH_ATTRIBUTES)) {
    expect(customAttributes[name]).toBe(INDEXED_VALUE_TYPE_KEYWORD);
  }
});

test('a search attribute of another type is refused, by name', async () => {
  await freshNamespace();
  const searchAttributes = { [SEARCH_ATTRIBUTES.run]: INDEXED_VALUE_TYPE_INT };
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  await expect(ensureSearchAttributes(connection, namespace)).rejects.toThrow(
    /CutoverRun exists with a type other than Keyword/,
  );
});

test('when the server refuses, the error gives the command for its operator', async () => {
  await expect(ensureSearchAttributes(connection, 'no-such-namespace')).rejects.toThrow(
    /temporal operator search-attribute create --namespace no-such-namespace --type Keyword --name CutoverPlan/,
  );
});
