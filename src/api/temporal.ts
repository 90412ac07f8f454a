import type { Client } from '@temporalio/client';

/** Longest wait for an answer to a question that the Temporal server answers at once. */
const ANSWER_MS = 3_000;

/**
 * Makes sure that the Temporal server answers and has our namespace, before something is written that it must hear of.
 * @throws the client's error when it doesn't.
 */
export async function assertTemporalAnswers(temporal: Client): Promise<void> {
  const { namespace } = temporal.options;
  await temporal.withDeadline(Date.now() + ANSWER_MS, () =>
    temporal.workflowService.describeNamespace({ namespace }),
  );
}
