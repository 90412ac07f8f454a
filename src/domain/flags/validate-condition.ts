import { type AttributeCondition, type Condition, SEMVER_COMPARISONS } from './condition.ts';
import type { Segment } from './definition.ts';
import { ATTRIBUTE_FIX, isAttributePath, isKey, KEY_FIX, orUse } from './names.ts';
import type { FlagProblem } from './problem.ts';
import { isVersion } from './semver.ts';

export type Segments = ReadonlyMap<string, Segment>;

/** Where the walk through conditions and segments is, and what it has found. */
type Walk = {
  segments: Segments;
  /** Segments that the walk is inside of, outermost first. */
  inside: readonly string[];
  /** How many conditions each segment is when it is written out. Each is visited once. */
  sizes: Map<string, number>;
  problems: FlagProblem[];
};

const MAX_DEPTH = 32;
/** Segments within segments multiply; this is where a flag would become slow to evaluate and large to export. */
const MAX_CONDITIONS = 10_000;

/** All that is wrong with the conditions of a flag, and with the segments that they lead to. */
export function validateConditions(
  conditions: readonly { path: string; condition: Condition }[],
  segments: Segments,
): FlagProblem[] {
  const walk: Walk = { segments, inside: [], sizes: new Map(), problems: [] };
  const size = sum(conditions.map(({ path, condition }) => visit(condition, path, walk, 0)));
  checkSize(walk, 'rules', size);
  return walk.problems;
}

/** The same for a segment that is about to be saved. */
export function validateSegment(segment: Segment, segments: Segments): FlagProblem[] {
  const all = new Map([...segments, [segment.key, segment]]);
  const walk: Walk = { segments: all, inside: [], sizes: new Map(), problems: [] };
  const path = `segments.${segment.key}`;
  if (!isKey(segment.key)) report(walk, path, `${JSON.stringify(segment.key)} is no key`, KEY_FIX);
  checkSize(walk, path, visitSegment(segment.key, path, walk));
  return walk.problems;
}

/** How many conditions it is with its segments written out. */
function visit(condition: Condition, path: string, walk: Walk, depth: number): number {
  if (depth > MAX_DEPTH) {
    report(walk, path, `conditions are nested deeper than ${MAX_DEPTH}`, 'move some into a segment');
    return 0;
  }
  if ('all' in condition) return visitList(condition.all, `${path}.all`, walk, depth);
  if ('any' in condition) return visitList(condition.any, `${path}.any`, walk, depth);
  if ('not' in condition) return 1 + visit(condition.not, `${path}.not`, walk, depth + 1);
  if ('segment' in condition) return 1 + visitSegment(condition.segment, path, walk);
  return visitAttribute(condition, path, walk);
}

function visitList(conditions: readonly Condition[], path: string, walk: Walk, depth: number): number {
  if (conditions.length === 0) report(walk, path, 'there is no condition', 'add one, or remove the list');
  return 1 + sum(conditions.map((condition, i) => visit(condition, `${path}[${i}]`, walk, depth + 1)));
}

function visitSegment(key: string, path: string, walk: Walk): number {
  const segment = walk.segments.get(key);
  if (walk.inside.includes(key)) {
    const cycle = [...walk.inside.slice(walk.inside.indexOf(key)), key].join(' → ');
    report(walk, path, `segments lead back to themselves: ${cycle}`, 'remove one of these references');
    return 0;
  }
  if (!segment) {
    report(walk, path, `there is no segment "${key}"`, `create it${orUse(walk.segments.keys())}`);
    return 0;
  }
  const known = walk.sizes.get(key);
  if (known !== undefined) return known;
  const within = { ...walk, inside: [...walk.inside, key] };
  const size = sum(segment.rules.map((rule, i) => visit(rule, `segments.${key}.rules[${i}]`, within, 0)));
  walk.sizes.set(key, size);
  return size;
}

function visitAttribute(condition: AttributeCondition, path: string, walk: Walk): number {
  if (!isAttributePath(condition.attribute)) {
    report(
      walk,
      `${path}.attribute`,
      `${JSON.stringify(condition.attribute)} is no attribute`,
      ATTRIBUTE_FIX,
    );
  }
  const wrong = operandProblem(condition);
  if (wrong) report(walk, path, ...wrong);
  return 1;
}

/** What is wrong with what the attribute is compared with, and what would be right. */
function operandProblem(condition: AttributeCondition): [problem: string, fix: string] | undefined {
  switch (condition.op) {
    case 'exists':
      return undefined;
    case 'equals':
      return isScalar(condition.value) ? undefined : notScalar(condition.value);
    case 'in': {
      const wrong = condition.values.find((value) => !isScalar(value));
      return wrong === undefined ? undefined : notScalar(wrong);
    }
    case 'startsWith':
    case 'endsWith':
    case 'contains':
      return textsProblem(condition.values);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return Number.isFinite(condition.value)
        ? undefined
        : [`${JSON.stringify(condition.value)} is no number`, 'give a number to compare with'];
    case 'semver':
      return semverProblem(condition);
    default:
      return [
        `there is no operator ${JSON.stringify((condition satisfies never as { op: unknown }).op)}`,
        'use exists, equals, in, startsWith, endsWith, contains, <, <=, >, >= or semver',
      ];
  }
}

function textsProblem(values: readonly string[]): [string, string] | undefined {
  if (values.length === 0) return ['there is no value to compare with', 'give at least one'];
  const wrong = values.find((value) => typeof value !== 'string' || value === '');
  return wrong === undefined
    ? undefined
    : [`${JSON.stringify(wrong)} is no text to compare with`, 'give texts that are not empty'];
}

function semverProblem(condition: { comparison: string; version: string }): [string, string] | undefined {
  if (!SEMVER_COMPARISONS.some((comparison) => comparison === condition.comparison)) {
    return [
      `${JSON.stringify(condition.comparison)} compares no versions`,
      `use ${SEMVER_COMPARISONS.join(' ')}`,
    ];
  }
  return isVersion(condition.version)
    ? undefined
    : [`${JSON.stringify(condition.version)} is no semantic version`, 'write it as 1.2.3 or 1.2.3-beta.1'];
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

function notScalar(value: unknown): [string, string] {
  return [
    `${JSON.stringify(value)} is nothing that attributes are compared with`,
    'use a text, a finite number or a boolean; for an absent attribute, use "exists" with "not"',
  ];
}

function checkSize(walk: Walk, path: string, size: number): void {
  if (size <= MAX_CONDITIONS) return;
  const problem = `with its segments written out it is ${size} conditions, more than ${MAX_CONDITIONS}`;
  report(walk, path, problem, 'use "in" with a list of values, or fewer segments within segments');
}

function sum(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total + size, 0);
}

function report(walk: Walk, path: string, problem: string, fix: string): void {
  walk.problems.push({ path, problem, fix });
}
