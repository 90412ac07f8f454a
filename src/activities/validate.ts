import { ApplicationFailure } from '@temporalio/activity';
import type { QueryResult, ValidationInput } from '../contracts/activities.ts';
import { FAILURE } from '../contracts/errors.ts';
import { recordEvent } from '../db/run-events.ts';
import { meetsExpectation } from '../domain/expectation.ts';
import type { ValidationQuery } from '../domain/plan.ts';
import { readOnlyQuery } from '../targets/postgres/read-only-query.ts';
import type { Target } from '../targets/target.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';
import { recorded } from './records.ts';

/** Rows shown of what an informational or a failed query found. */
const SAMPLE_ROWS = 10;
const QUERY_TIMEOUT_MS = 30 * 60_000;

export function validateActivities(dependencies: Dependencies) {
  return {
    validate: (input: ValidationInput): Promise<{ passed: number; informational: number }> =>
      whileHeartbeating(async (signal) => {
        const target = targetNamed(dependencies, input.target);
        const results: QueryResult[] = [];
        for (const query of input.queries) results.push(await runQuery(target, query, input.runId, signal));
        const failed = results.filter((result) => !result.passed);
        await recorded(
          recordEvent(dependencies.db, {
            runId: input.runId,
            type: 'validation',
            phase: input.phase,
            message: `${results.length - failed.length} of ${results.length} validation queries passed`,
            data: { queries: results },
          }),
        );
        const informational = results.filter((result) => result.informational).length;
        if (failed.length === 0) return { passed: results.length - informational, informational };
        throw ApplicationFailure.create({
          type: FAILURE.validationFailed,
          message: failed.map(({ name, found }) => `query "${name}": ${found}`).join('; '),
          nonRetryable: true,
        });
      }),
  };
}

/** Runs one query and judges what it found. */
export async function runQuery(
  target: Target,
  query: ValidationQuery,
  runId: string,
  signal: AbortSignal,
): Promise<QueryResult> {
  const { rows } = await readOnlyQuery(
    target,
    query.sql,
    { run_id: runId },
    { signal, timeoutMs: QUERY_TIMEOUT_MS },
  );
  const { passed, found } = meetsExpectation(query.expect, rows);
  const informational = query.expect.kind === 'informational';
  const sample = informational || !passed ? JSON.parse(JSON.stringify(rows.slice(0, SAMPLE_ROWS))) : [];
  return { name: query.name, passed, informational, found, sample };
}
