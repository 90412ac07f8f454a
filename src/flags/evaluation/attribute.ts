import type { EvaluationContext } from './evaluation.ts';

/** Reads an attribute of a context; undefined or null when it has none. */
export type AttributeReader = (context: EvaluationContext) => unknown;

/** @param path a name, or names of nested objects with dots between them: `user.plan`. */
export function attributeReader(path: string): AttributeReader {
  // By far the most frequent one, with an access that the engine can inline.
  if (path === 'targetingKey') return (context) => context.targetingKey;
  const names = path.split('.');
  const [name = ''] = names;
  if (names.length === 1) return (context) => context[name];
  return (context) => {
    let value: unknown = context;
    for (const step of names) {
      if (typeof value !== 'object' || value === null) return undefined;
      value = (value as Record<string, unknown>)[step];
    }
    return value;
  };
}
