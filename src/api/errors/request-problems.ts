import type { PlanProblem } from '../../domain/plan-problem.ts';

type ValidationIssue = {
  keyword?: string;
  instancePath?: string;
  message?: string | undefined;
  params?: Record<string, unknown>;
};

const PLACES: Record<string, string> = { querystring: 'query', params: 'path', headers: 'header' };

/** Every problem of a request that its schema refused, each with where it is and what would be right. */
export function requestProblems(
  issues: readonly ValidationIssue[],
  context: string | undefined,
): PlanProblem[] {
  const place = PLACES[context ?? ''] ?? context ?? 'request';
  return issues.flatMap((issue) => {
    const path = [place, ...(issue.instancePath ?? '').split('/').filter(Boolean)].join('.');
    const { keys, values, expected } = issue.params ?? {};
    if (issue.keyword === 'unrecognized_keys' && Array.isArray(keys)) {
      return keys.map((key) => ({
        path: `${path}.${String(key)}`,
        problem: 'is not a setting that exists here',
        fix: 'remove it, or check its spelling',
      }));
    }
    return [{ path, problem: issue.message ?? 'is not right', fix: fixOf(values, expected) }];
  });
}

function fixOf(values: unknown, expected: unknown): string {
  if (Array.isArray(values)) return `use one of ${values.map(String).join(', ')}`;
  if (typeof expected === 'string') return `it must be of type ${expected}`;
  return 'see /api/docs for what is allowed';
}
