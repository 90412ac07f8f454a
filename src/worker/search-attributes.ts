import { setTimeout as delay } from 'node:timers/promises';
import type { OperatorService } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';

const KEYWORD = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
const VISIBLE_DEADLINE_MS = 30_000;

/**
 * Registers Cutover's search attributes in a namespace, those that are missing, and resolves when the server lists
 * them all. May be called by several processes at once.
 * @throws when one is there with another type, or when the server does not let us; the message gives the commands
 *   with which its operator registers them.
 */
export async function ensureSearchAttributes(
  connection: { readonly operatorService: OperatorService },
  namespace: string,
): Promise<void> {
  const operator = connection.operatorService;
  try {
    const missing = await missingAttributes(operator, namespace);
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
    await operator.addSearchAttributes({ namespace, searchAttributes }).catch(unlessAnotherWasFaster);
    await untilListed(operator, namespace);
  } catch (error) {
    throw new Error(explain(error, namespace), { cause: error });
  }
}

async function missingAttributes(operator: OperatorService, namespace: string): Promise<string[]> {
  const { customAttributes } = await operator.listSearchAttributes({ namespace });
  const wrong = Object.values(SEARCH_ATTRIBUTES).filter(
    (name) => (customAttributes[name] ?? KEYWORD) !== KEYWORD,
  );
  if (wrong.length > 0) {
    throw new Error(`${wrong.join(', ')} exists with a type other than Keyword; use another namespace`);
  }
  return Object.values(SEARCH_ATTRIBUTES).filter((name) => !(name in customAttributes));
}

const ALREADY_EXISTS = 6;

function unlessAnotherWasFaster(error: unknown): void {
  if ((error as { code?: number }).code !== ALREADY_EXISTS) throw error;
}

async function untilListed(operator: OperatorService, namespace: string): Promise<void> {
  const deadline = Date.now() + VISIBLE_DEADLINE_MS;
  while ((await missingAttributes(operator, namespace)).length > 0) {
    if (Date.now() > deadline) throw new Error('they were registered, but the server does not list them');
    await delay(100);
  }
}

function explain(error: unknown, namespace: string): string {
  const names = Object.values(SEARCH_ATTRIBUTES)
    .map((name) => `--name ${name}`)
    .join(' ');
  return (
    `Temporal namespace "${namespace}": could not register Cutover's search attributes: ` +
    `${error instanceof Error ? error.message : String(error)}. If this connection may not, let an operator run: ` +
    `temporal operator search-attribute create --namespace ${namespace} --type Keyword ${names}`
  );
}
