import type { AttributeCondition, Condition, NumberOperator } from '../../domain/flags/condition.ts';
import { meetsVersion, parseVersion } from '../../domain/flags/semver.ts';
import type { Segments } from '../../domain/flags/validate-condition.ts';
import { type AttributeReader, attributeReader } from './attribute.ts';
import type { EvaluationContext } from './evaluation.ts';

export type Predicate = (context: EvaluationContext) => boolean;

/** @param condition a valid one: its segments exist and lead nowhere back. */
export function compileCondition(condition: Condition, segments: Segments): Predicate {
  if ('all' in condition) return all(condition.all.map((part) => compileCondition(part, segments)));
  if ('any' in condition) return any(condition.any.map((part) => compileCondition(part, segments)));
  if ('not' in condition) {
    const negated = compileCondition(condition.not, segments);
    return (context) => !negated(context);
  }
  if ('segment' in condition) {
    const rules = segments.get(condition.segment)?.rules ?? [];
    return any(rules.map((rule) => compileCondition(rule, segments)));
  }
  return compileAttribute(condition);
}

function all(parts: readonly Predicate[]): Predicate {
  return (context) => {
    for (const part of parts) if (!part(context)) return false;
    return true;
  };
}

function any(parts: readonly Predicate[]): Predicate {
  const [only] = parts;
  if (only && parts.length === 1) return only;
  return (context) => {
    for (const part of parts) if (part(context)) return true;
    return false;
  };
}

function compileAttribute(condition: AttributeCondition): Predicate {
  const read = attributeReader(condition.attribute);
  switch (condition.op) {
    case 'exists':
      return (context) => isPresent(read(context));
    case 'equals': {
      const { value } = condition;
      return (context) => read(context) === value;
    }
    case 'in': {
      const values = new Set<unknown>(condition.values);
      return (context) => values.has(read(context));
    }
    case 'startsWith':
      return onText(read, condition.values, (text, value) => text.startsWith(value));
    case 'endsWith':
      return onText(read, condition.values, (text, value) => text.endsWith(value));
    case 'contains':
      return contains(read, condition.values);
    case 'semver':
      return semver(read, condition);
    default:
      return onNumber(read, condition.op, condition.value);
  }
}

/** Functions are what a context inherits, such as `toString`. */
function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null && typeof value !== 'function';
}

function onText(
  read: AttributeReader,
  values: readonly string[],
  matches: (text: string, value: string) => boolean,
): Predicate {
  return (context) => {
    const text = read(context);
    return typeof text === 'string' && values.some((value) => matches(text, value));
  };
}

function contains(read: AttributeReader, values: readonly string[]): Predicate {
  return (context) => {
    const whole = read(context);
    if (typeof whole !== 'string' && !Array.isArray(whole)) return false;
    return values.some((value) => whole.includes(value));
  };
}

function onNumber(read: AttributeReader, op: NumberOperator, limit: number): Predicate {
  const compare = {
    '<': (value: number) => value < limit,
    '<=': (value: number) => value <= limit,
    '>': (value: number) => value > limit,
    '>=': (value: number) => value >= limit,
  }[op];
  return (context) => {
    const value = read(context);
    return typeof value === 'number' && compare(value);
  };
}

function semver(
  read: AttributeReader,
  { comparison, version }: Extract<AttributeCondition, { op: 'semver' }>,
): Predicate {
  const wanted = parseVersion(version);
  if (!wanted) throw new TypeError(`"${version}" is no semantic version`);
  return (context) => {
    const text = read(context);
    const present = typeof text === 'string' ? parseVersion(text) : undefined;
    return present !== undefined && meetsVersion(present, comparison, wanted);
  };
}
