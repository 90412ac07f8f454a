import { setTimeout as delay } from 'node:timers/promises';
import type { RunEvent } from '../api/schemas/events.ts';
import type { PlanDetail } from '../api/schemas/plans.ts';
import type { RunDetail } from '../api/schemas/runs.ts';
import type { Plan } from '../domain/plan.ts';
import { isFinal } from '../domain/run-state.ts';
import type { ApiClient } from './api-client.ts';

/** What a watcher of a run is told. */
export type RunObserver = {
  /** Each event once, in order, those from before the watch included. */
  event?: (event: RunEvent) => void;
  /** The run as it is after the events so far; not more often than a few times a second. */
  detail?: (run: RunDetail) => void;
  reconnecting?: (reason: string) => void;
};

const REFRESH_MS = 300;
/** Without an event: values of gates change without one. */
const REFRESH_QUIET_MS = 1_500;

export function getRun(client: ApiClient, runId: string, signal?: AbortSignal): Promise<RunDetail> {
  return client.get<RunDetail>(`/api/runs/${encodeURIComponent(runId)}`, { signal });
}

/** The plan that the run is pinned to. */
export async function getPlan(
  client: ApiClient,
  run: Pick<RunDetail, 'plan' | 'version'>,
  signal?: AbortSignal,
): Promise<Plan> {
  const path = `/api/plans/${encodeURIComponent(run.plan)}?version=${run.version}`;
  return (await client.get<PlanDetail>(path, { signal })).document;
}

/**
 * Follows a run until it is final.
 * @returns the run as it ended.
 * @throws CliError when the server refuses or stays away; the signal's reason when it is aborted.
 */
export async function followRun(
  client: ApiClient,
  runId: string,
  observer: RunObserver,
  signal?: AbortSignal | undefined,
): Promise<RunDetail> {
  const first = await getRun(client, runId, signal);
  observer.detail?.(first);

  let changed = false;
  let refreshedAt = Date.now();
  const over = new AbortController();
  const refreshing = refresh();
  try {
    for await (const item of client.events(runId, { signal, onReconnect: observer.reconnecting })) {
      if (item.kind === 'end') break;
      observer.event?.(item.event);
      changed = true;
    }
  } finally {
    over.abort();
    await refreshing;
  }
  const last = await getRun(client, runId, signal);
  observer.detail?.(last);
  return last;

  async function refresh(): Promise<void> {
    while (!over.signal.aborted) {
      await delay(REFRESH_MS, undefined, { signal: over.signal }).catch(() => {});
      const quiet = Date.now() - refreshedAt < REFRESH_QUIET_MS;
      if ((!changed && quiet) || over.signal.aborted) continue;
      changed = false;
      refreshedAt = Date.now();
      // A server that is away for a moment is the event stream's to report.
      const run = await getRun(client, runId, over.signal).catch(() => undefined);
      if (run && !isFinal(run.status)) observer.detail?.(run);
    }
  }
}
