import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';

/** What keeps the plan's redaction from doing what it promises: a misspelt column, or one that rows are told apart by. */
export function redactProblems({ redact, transform }: BackfillPhase, table: BackfillTable): PlanProblem[] {
  const copied = transform.kind === 'insert' ? Object.keys(transform.values) : [];
  const keys = table.key.map(({ name }) => name);
  return redact.flatMap((name, i) => {
    const path = `redact[${i}]`;
    if (keys.includes(name)) {
      return [
        {
          path,
          problem: `"${name}" is part of the key, by which exceptions name their rows`,
          fix: 'leave it out, or page by another `key`',
        },
      ];
    }
    if (table.columns.has(name) || copied.includes(name)) return [];
    const fix = 'check its spelling, or give its type under `columns` if an earlier phase adds it';
    return [{ path, problem: `the table ${table.qualifiedName} has no column "${name}"`, fix }];
  });
}
