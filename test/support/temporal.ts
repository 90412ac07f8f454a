import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { inject } from 'vitest';
import { ensureSearchAttributes } from '../../src/worker/search-attributes.ts';
import { uniqueName } from './unique-name.ts';

/**
 * A namespace with Cutover's search attributes on the run's Temporal server: task queues have fixed names, so tests
 * that run at the same time take each other's tasks unless each has a namespace.
 */
export async function createTestNamespace(
  address = inject('temporalAddress'),
): Promise<{ address: string; namespace: string }> {
  const namespace = uniqueName();
  const connection = await Connection.connect({ address });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    await ensureSearchAttributes(connection, namespace);
  } finally {
    await connection.close();
  }
  return { address, namespace };
}
