import type { AttributeCondition, Condition, Scalar } from '../../domain/flags/condition.ts';
import { DEFAULT_BUCKETED_BY, type JsonValue } from '../../domain/flags/definition.ts';
import type { Segments } from '../../domain/flags/validate-condition.ts';

/** JsonLogic with flagd's own operations: an operation, or a literal. https://jsonlogic.com/operations.html */
export type JsonLogic = JsonValue;

/*
 * JsonLogic coerces where our conditions do not, and its implementations differ in how, so types are tested first. Every
 * test and every operation below gives a boolean: under the `and` of flagd's server, the null of a failed `starts_with`
 * would count as true.
 */

/** A condition as JsonLogic, segments written out. */
export function conditionToFlagd(condition: Condition, segments: Segments): JsonLogic {
  const convert = (part: Condition) => conditionToFlagd(part, segments);
  if ('all' in condition) return { and: condition.all.map(convert) };
  if ('any' in condition) return { or: condition.any.map(convert) };
  if ('not' in condition) return { '!': [convert(condition.not)] };
  if ('segment' in condition) return anyOf((segments.get(condition.segment)?.rules ?? []).map(convert));
  return attributeToFlagd(condition);
}

/** Can users be bucketed by the attribute: is it a text that is not empty, or a number? `targetingKey` is never a number. */
export function isBucketKey(attribute: string): JsonLogic {
  const value = read(attribute);
  const isKey = { and: [isText(value), { '!==': [value, ''] }] };
  return attribute === DEFAULT_BUCKETED_BY ? isKey : { or: [isKey, isNumber(value)] };
}

export function read(attribute: string): JsonLogic {
  return { var: attribute };
}

function attributeToFlagd(condition: AttributeCondition): JsonLogic {
  const value = read(condition.attribute);
  switch (condition.op) {
    case 'exists':
      return { '!==': [value, null] };
    case 'equals':
      return { '===': [value, condition.value] };
    case 'in':
      return isAmong(value, condition.values);
    case 'startsWith':
      return anyOf(condition.values.map((text) => yes({ starts_with: [value, text] })));
    case 'endsWith':
      return anyOf(condition.values.map((text) => yes({ ends_with: [value, text] })));
    case 'contains':
      return anyOf(condition.values.map((text) => contains(value, text)));
    case 'semver':
      return {
        and: [isText(value), yes({ sem_ver: [value, condition.comparison, condition.version] })],
      };
    default:
      return { and: [isNumber(value), { [condition.op]: [value, condition.value] }] };
  }
}

/** Apart by type: flagd's server takes 0 for an element of a list of texts. */
function isAmong(value: JsonLogic, values: readonly Scalar[]): JsonLogic {
  const texts = values.filter((element) => typeof element === 'string');
  const numbers = values.filter((element) => typeof element === 'number');
  const booleans = values.filter((element) => typeof element === 'boolean');
  return anyOf([
    ...(texts.length > 0 ? [{ and: [isText(value), { in: [value, texts] }] }] : []),
    ...(numbers.length > 0 ? [{ and: [isNumber(value), { in: [value, numbers] }] }] : []),
    ...booleans.map((boolean) => ({ '===': [value, boolean] })),
  ]);
}

/** `in` looks for a part of a text or for an element of a list; `merge` makes a list of everything else. */
function contains(value: JsonLogic, text: string): JsonLogic {
  return { if: [isText(value), { in: [text, value] }, { in: [text, { merge: [value] }] }] };
}

/** Only a text begins with nothing. */
function isText(value: JsonLogic): JsonLogic {
  return yes({ starts_with: [value, ''] });
}

/**
 * What is neither text, null nor boolean, nor a list, which `merge` opens, and has a place among the numbers. An object has
 * none, which flagd calls an error.
 */
function isNumber(value: JsonLogic): JsonLogic {
  return {
    and: [
      { '!': [isText(value)] },
      { '!==': [value, null] },
      { '!==': [value, true] },
      { '!==': [value, false] },
      { in: [value, { merge: [value] }] },
      { or: [{ '<': [value, 0] }, { '>=': [value, 0] }] },
    ],
  };
}

function yes(value: JsonLogic): JsonLogic {
  return { '!!': [value] };
}

function anyOf(parts: readonly JsonLogic[]): JsonLogic {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  // `or` needs a part; nothing is among no values.
  return parts.length === 0 ? { in: ['', []] } : { or: parts };
}
