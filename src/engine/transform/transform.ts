import type { BackfillPhase } from '../../domain/plan.ts';
import { idOf, type Transform } from './definition.ts';
import type { TransformThreads } from './threads.ts';

// What defines transforms is known here as well, to those who register them.
export * from './definition.ts';

export interface ThreadSource {
  /** So many threads; shared by all who ask for as many. */
  give(count: number): TransformThreads;
  close(): Promise<void>;
}

/** The transforms that a worker can run, by name and version. Several versions of one may be registered side by side. */
export class TransformRegistry {
  readonly #transforms = new Map<string, Transform>();
  readonly #threads: ThreadSource | undefined;

  /** @param threads can run these transforms, because they import the same modules. */
  constructor(transforms: Iterable<Transform> = [], threads?: ThreadSource) {
    this.#threads = threads;
    for (const transform of transforms) this.register(transform);
  }

  /** @throws Error when that name and version is taken. */
  register(transform: Transform): void {
    const id = idOf(transform);
    if (this.#transforms.has(id))
      throw new Error(`the transform ${id} is registered twice; raise its version`);
    this.#transforms.set(id, transform);
  }

  /** @throws TransformNotRegistered, which names what is. */
  lookup(name: string, version: number): Transform {
    const transform = this.#transforms.get(idOf({ name, version }));
    if (!transform) throw new TransformNotRegistered(idOf({ name, version }), [...this.#transforms.keys()]);
    return transform;
  }

  /**
   * The transform that a plan names, and the threads that it is to run in; undefined for a plan without, and for none.
   * @throws TransformNotRegistered, or NoThreads when the transforms were not loaded from modules.
   */
  forPlan(planned: BackfillPhase['transform']): {
    transform: Transform | undefined;
    threads: TransformThreads | undefined;
  } {
    if (planned.kind !== 'registered') return { transform: undefined, threads: undefined };
    const transform = this.lookup(planned.name, planned.version);
    if (planned.threads === 0) return { transform, threads: undefined };
    if (!this.#threads) throw new NoThreads();
    return { transform, threads: this.#threads.give(planned.threads) };
  }

  /** Ends the threads, and what runs in them. */
  async close(): Promise<void> {
    await this.#threads?.close();
  }
}

/** A plan wants its transform run in threads, by a worker that has none. */
export class NoThreads extends Error {
  override name = 'NoThreads';

  constructor() {
    super(
      'this process has no threads to run transforms in: threads import them from modules; name those in ' +
        'CUTOVER_TRANSFORMS, or run the transform with `threads: 0`',
    );
  }
}

export class TransformNotRegistered extends Error {
  override name = 'TransformNotRegistered';

  constructor(id: string, registered: readonly string[]) {
    const known = registered.length > 0 ? registered.join(', ') : 'none';
    super(`this worker has no transform ${id}; registered: ${known}`);
  }
}
