import { condition, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { PhaseRef } from '../contracts/activities.ts';
import { control } from './activities.ts';

/** Waits until batches may run again, and tells the run's watchers why. Whoever goes on too early is sent back here by the next slice. */
export async function untilOpen(
  { runId, phase }: PhaseRef,
  { until, why }: { until: number; why: string },
): Promise<void> {
  const opening = new Date(until).toISOString();
  const tell = (message: string, what: 'closed' | 'open') =>
    control(`Record that batches are ${what === 'closed' ? 'held back' : 'let go on'}`).recordNote({
      runId,
      phase,
      type: 'load',
      message,
      data: what === 'closed' ? { until: opening, why } : {},
      key: `${workflowInfo().workflowId}/${what}/${opening}`,
    });
  setCurrentDetails(`**Waiting**: ${why}; goes on at ${opening}`);
  await tell(`waiting: ${why}; goes on at ${opening}`, 'closed');
  await condition(() => Date.now() >= until, Math.max(1, until - Date.now()), { summary: why.slice(0, 100) });
  await tell('its hours have begun; goes on', 'open');
}
