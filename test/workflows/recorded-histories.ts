import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import type { System } from '../support/system.ts';

/** Histories by the version of Cutover that wrote them; a later version must still be able to continue each of them. */
const DIRECTORY = fileURLToPath(new URL('./histories/', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

export type RecordedHistory = {
  version: string;
  name: string;
  workflowId: string;
  history: { events: RecordedEvent[] };
};
type RecordedEvent = {
  eventType: string;
  workflowExecutionStartedEventAttributes?: { workflowType: { name: string } };
};

export function recordedHistories(): RecordedHistory[] {
  return readdirSync(DIRECTORY).flatMap((directory) =>
    readdirSync(DIRECTORY + directory).map((file) => ({
      version: directory,
      name: file.replace('.json', ''),
      ...JSON.parse(readFileSync(`${DIRECTORY}${directory}/${file}`, 'utf8')),
    })),
  );
}

/** The workflow type that wrote the history. */
export function typeOf({ history }: RecordedHistory): string {
  return history.events[0]?.workflowExecutionStartedEventAttributes?.workflowType.name ?? 'none';
}

/** Fetches a finished workflow's history and keeps it under this name, without what is only true of this machine. */
export async function recordHistory({ config }: System, workflowId: string, name: string): Promise<void> {
  const { address, namespace } = config.temporal;
  const { stdout } = await promisify(execFile)(
    inject('temporalExecutable'),
    [
      'workflow',
      'show',
      '--workflow-id',
      workflowId,
      '--output',
      'json',
      '--address',
      address,
      '--namespace',
      namespace,
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const json = JSON.stringify({ workflowId, history: JSON.parse(stdout) }, (key, value) => {
    if (key === 'identity') return 'worker';
    if (key === 'stackTrace') return '';
    // Workers name their own task queues after process and host.
    return typeof value === 'string' ? value.replace(/^\d+@[\w.]+/, 'worker') : value;
  });
  const directory = `${DIRECTORY}${packageJson.version}/`;
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}${name}.json`, `${json.replaceAll(REPOSITORY, '')}\n`);
}
