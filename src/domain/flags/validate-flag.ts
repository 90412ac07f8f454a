import type { FlagDefinition, JsonValue, Serve, Split } from './definition.ts';
import { ATTRIBUTE_FIX, isAttributePath, isKey, KEY_FIX, orUse } from './names.ts';
import type { FlagProblem } from './problem.ts';
import { type Segments, validateConditions } from './validate-condition.ts';
import { TOTAL_WEIGHT } from './weights.ts';

const SALT = /^[\x21-\x7e]{1,255}$/;

/** Everything that is wrong with the flag at once, and with the segments that it leads to; empty when it can be evaluated. */
export function validateFlag(flag: FlagDefinition, segments: Segments = new Map()): FlagProblem[] {
  return [
    ...validateNames(flag),
    ...validateVariants(flag),
    ...validateMetadata(flag),
    ...flag.rules.flatMap((rule, i) => validateServe(flag, rule.serve, `rules[${i}].serve`)),
    ...(flag.split ? validateSplit(flag, flag.split, 'split') : []),
    ...validateConditions(
      flag.rules.map((rule, i) => ({ path: `rules[${i}].when`, condition: rule.when })),
      segments,
    ),
  ];
}

function validateNames(flag: FlagDefinition): FlagProblem[] {
  const problems: FlagProblem[] = [];
  if (!isKey(flag.key)) {
    problems.push({ path: 'key', problem: `${JSON.stringify(flag.key)} is no key`, fix: KEY_FIX });
  }
  if (flag.state !== 'enabled' && flag.state !== 'disabled') {
    const problem = `${JSON.stringify(flag.state)} is no state`;
    problems.push({ path: 'state', problem, fix: 'use "enabled" or "disabled"' });
  }
  problems.push(...validateSalt(flag.salt, 'salt'));
  return problems;
}

function validateSalt(salt: string, path: string): FlagProblem[] {
  if (typeof salt === 'string' && SALT.test(salt)) return [];
  return [
    {
      path,
      problem: `${JSON.stringify(salt)} is no salt`,
      fix: 'use 1 to 255 printable ASCII characters without spaces, and keep them for the life of the flag',
    },
  ];
}

function validateVariants(flag: FlagDefinition): FlagProblem[] {
  const names = Object.keys(flag.variants);
  const problems: FlagProblem[] = [];
  if (names.length === 0) {
    problems.push({
      path: 'variants',
      problem: 'the flag has no variants',
      fix: 'add at least the default variant',
    });
  }
  if (names.includes('')) {
    problems.push({ path: 'variants', problem: 'a variant has no name', fix: 'give it one' });
  }
  const types = new Map(names.map((name) => [typeOf(flag.variants[name]), name]));
  if (types.size > 1) {
    const list = [...types].map(([type, name]) => `"${name}" is of type ${type}`).join(', ');
    problems.push({
      path: 'variants',
      problem: `variants differ in type: ${list}`,
      fix: 'give all the same type, since applications ask for one',
    });
  }
  return [...problems, ...validateVariant(flag, flag.defaultVariant, 'defaultVariant')];
}

function validateMetadata(flag: FlagDefinition): FlagProblem[] {
  return Object.entries(flag.metadata ?? {})
    .filter(([, value]) => !['string', 'boolean'].includes(typeof value) && !Number.isFinite(value))
    .map(([name, value]) => ({
      path: `metadata.${name}`,
      problem: `${JSON.stringify(value)} cannot be metadata`,
      fix: 'use a text, a finite number or a boolean',
    }));
}

function validateServe(flag: FlagDefinition, serve: Serve, path: string): FlagProblem[] {
  return 'split' in serve
    ? validateSplit(flag, serve.split, `${path}.split`)
    : validateVariant(flag, serve.variant, `${path}.variant`);
}

function validateVariant(flag: FlagDefinition, variant: string, path: string): FlagProblem[] {
  if (Object.hasOwn(flag.variants, variant)) return [];
  const problem = `there is no variant ${JSON.stringify(variant)}`;
  return [{ path, problem, fix: `add it${orUse(Object.keys(flag.variants))}` }];
}

function validateSplit(flag: FlagDefinition, split: Split, path: string): FlagProblem[] {
  const problems: FlagProblem[] = [];
  if (split.by !== undefined && !isAttributePath(split.by)) {
    const problem = `${JSON.stringify(split.by)} is no attribute`;
    problems.push({ path: `${path}.by`, problem, fix: ATTRIBUTE_FIX });
  }
  if (split.salt !== undefined) problems.push(...validateSalt(split.salt, `${path}.salt`));
  for (const [i, { variant, weight }] of split.weights.entries()) {
    problems.push(...validateVariant(flag, variant, `${path}.weights[${i}].variant`));
    if (!(Number.isInteger(weight) && weight >= 0 && weight <= TOTAL_WEIGHT)) {
      problems.push({
        path: `${path}.weights[${i}].weight`,
        problem: `${weight} is no weight`,
        fix: `use a whole number from 0 to ${TOTAL_WEIGHT}, of which one is 0.001 %`,
      });
    }
  }
  const sum = split.weights.reduce((total, { weight }) => total + weight, 0);
  if (sum !== TOTAL_WEIGHT) {
    problems.push({
      path: `${path}.weights`,
      problem: `the weights add up to ${sum}`,
      fix: `make it ${TOTAL_WEIGHT}, which is 100 %`,
    });
  }
  return problems;
}

function typeOf(value: JsonValue | undefined): string {
  return value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
}
