import { type Transform, TransformRegistry } from '../engine/transform/transform.ts';
import { importModule } from '../plan/import-module.ts';
import { ModuleThreads, type ThreadOptions } from './transform-threads.ts';

/**
 * Imports modules (TypeScript or JavaScript) and registers every transform that they export, alone or in lists.
 * @param threads of the threads that plans may ask for to run them in.
 * @throws Error when a module can't be imported or exports none.
 */
export async function loadTransforms(
  paths: readonly string[],
  threads: ThreadOptions = {},
): Promise<TransformRegistry> {
  const loaded = await Promise.all(paths.map(importTransforms));
  return new TransformRegistry(loaded.flat(), new ModuleThreads(paths, threads));
}

async function importTransforms(path: string): Promise<Transform[]> {
  const module = await importModule(path).catch((error: Error) => {
    throw new Error(`the transforms in ${path} cannot be imported: ${error.message}`, { cause: error });
  });
  const transforms = [...new Set(Object.values(module).flat())].filter(isTransform);
  if (transforms.length > 0) return transforms;
  throw new Error(`${path} exports no transform; export what defineTransform({ … }) returns`);
}

/** What `defineTransform` returns; modules export helpers as well. */
function isTransform(value: unknown): value is Transform {
  const { name, version, transform } = (value ?? {}) as Partial<Transform>;
  return typeof name === 'string' && typeof version === 'number' && typeof transform === 'function';
}
