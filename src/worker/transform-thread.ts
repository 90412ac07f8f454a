import { parentPort, workerData } from 'node:worker_threads';
import { doTask, memoryOf, type ThreadTask } from '../engine/transform/thread-task.ts';
import type { TransformRegistry } from '../engine/transform/transform.ts';
import type { ThreadData } from './transform-threads.ts';
import { loadTransforms } from './transforms.ts';

/*
 * The code of a thread that runs transforms: one answer for each task. Their modules are imported with the first one, where
 * an error can be told.
 */

let registry: Promise<TransformRegistry> | undefined;

parentPort?.on('message', async (task: ThreadTask) => {
  const answer = await doTask(task, async (name, version) => {
    registry ??= loadTransforms((workerData as ThreadData).modules);
    return (await registry).lookup(name, version);
  });
  parentPort?.postMessage(answer, memoryOf(answer));
});
