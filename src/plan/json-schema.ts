import { z } from 'zod';
import { planSchema } from './schema.ts';

/** The JSON Schema (draft 2020-12) of a plan document, for editors that check YAML. */
export function planJsonSchema(): Record<string, unknown> {
  return { title: 'Cutover plan', ...z.toJSONSchema(planSchema, { io: 'input', target: 'draft-2020-12' }) };
}
