import type { z } from 'zod';
import type { Plan } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { plural } from '../domain/plural.ts';
import { isStorable } from '../domain/storable.ts';
import { lintPlan } from './lint.ts';
import type { PlanParts } from './plan-parts.ts';
import { phaseSchema, planSchema } from './schema.ts';

/** A plan document was refused; `problems` lists everything that is wrong with it at once. */
export class PlanRefused extends Error {
  readonly problems: PlanProblem[];

  constructor(problems: PlanProblem[]) {
    super(`the plan has ${plural(problems.length, 'problem')}:\n${problems.map(line).join('\n')}`);
    this.name = 'PlanRefused';
    this.problems = problems;
  }
}

/**
 * Checks a plan document and fills in its defaults.
 * @throws PlanRefused with every problem, each with its path and what would be right.
 */
export function parsePlan(document: unknown): Plan {
  const parsed = planSchema.safeParse(document, { reportInput: true });
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap((issue) => toProblems(issue));
    throw new PlanRefused([...problems, ...lintPlan(readableParts(document))]);
  }
  const problems = [...lintPlan(parsed.data), ...unstorable(parsed.data)];
  if (problems.length > 0) throw new PlanRefused(problems);
  return parsed.data;
}

/** What can be read of a document that its schema refused. */
function readableParts(document: unknown): PlanParts {
  const { endpoint, phases } = Object(document) as { endpoint?: unknown; phases?: unknown };
  return {
    endpoint: typeof endpoint === 'string' ? endpoint : undefined,
    phases: Array.isArray(phases) ? phases.map(readPhase) : [],
  };
}

function readPhase(document: unknown): PlanParts['phases'][number] {
  const parsed = phaseSchema.safeParse(document);
  if (parsed.success) return parsed.data;
  const { name } = Object(document) as { name?: unknown };
  return { kind: 'unreadable', name: typeof name === 'string' ? name : undefined };
}

function unstorable(plan: Plan): PlanProblem[] {
  if (isStorable(plan)) return [];
  const problem = 'holds a NUL character or half a surrogate pair, which no database keeps';
  return [{ path: '', problem, fix: 'remove it' }];
}

function line(problem: PlanProblem): string {
  return `  ${problem.path || '(document)'}: ${problem.problem}; ${problem.fix}`;
}

type Issue = z.core.$ZodIssue;

function toProblems(issue: Issue): PlanProblem[] {
  const path = pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: path ? `${path}.${key}` : key,
      problem: 'is not a setting that exists here',
      fix: 'remove it, or check its spelling against `cutover plan schema`',
    }));
  }
  if (issue.code === 'invalid_type') {
    const missing = issue.input === undefined;
    return [
      {
        path,
        problem: missing ? 'is missing' : `is ${typeName(issue.input)}`,
        fix: `it must be ${article(issue.expected)}`,
      },
    ];
  }
  if (issue.code === 'invalid_union' && 'discriminator' in issue && issue.discriminator) {
    const discriminator = String(issue.discriminator);
    // The options are not always part of the issue, so the message falls back to the published schema.
    const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.join(', ') : undefined;
    return [
      {
        path: path.endsWith(discriminator) ? path : `${path}.${discriminator}`,
        problem: 'names no kind that exists',
        fix: options ? `use one of ${options}` : 'see `cutover plan schema` for the kinds',
      },
    ];
  }
  if (issue.code === 'invalid_value') {
    return [
      { path, problem: `is ${shown(issue.input)}`, fix: `use one of ${issue.values.map(String).join(', ')}` },
    ];
  }
  return [{ path, problem: `is ${shown(issue.input)}`, fix: limitOf(issue) ?? issue.message }];
}

/** Limits of numbers have no words of our own in the schema; those of texts and lists do. */
function limitOf(issue: Issue): string | undefined {
  if (typeof issue.input !== 'number') return undefined;
  if (issue.code === 'too_small') {
    return `it must be ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}`;
  }
  if (issue.code === 'too_big')
    return `it must be ${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}`;
  return undefined;
}

function pathText(path: PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part),
    '',
  );
}

function typeName(input: unknown): string {
  if (input === null) return 'null';
  return Array.isArray(input) ? 'a list' : article(typeof input);
}

function article(type: string): string {
  const names: Record<string, string> = {
    array: 'a list',
    object: 'an object',
    int: 'a whole number',
    record: 'an object',
  };
  return names[type] ?? `a ${type}`;
}

function shown(input: unknown): string {
  const text = JSON.stringify(input) ?? String(input);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
