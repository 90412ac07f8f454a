import { setTimeout as delay } from 'node:timers/promises';
import type { DryRun, DryRunReport, DryRunRequest } from '../../api/schemas/dry-runs.ts';
import type { SampleSize } from '../../domain/sample-size.ts';
import type { ApiClient } from '../api-client.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { dryRunLines, problemsOf } from '../output/dry-run.ts';
import { numberOption, sampleOption } from './options.ts';

type Options = {
  version?: number;
  batchSize?: number;
  offset?: number;
  limit?: number;
  sample?: SampleSize;
};

export const registerDryRun: Register = (program, action) => {
  program
    .command('dry-run')
    .description('show what a plan would do; writes nothing to the target')
    .argument('<plan>', 'name of a registered plan')
    .option('--version <number>', 'version of the plan; the latest unless given', numberOption(1, 1e9))
    .option('--batch-size <rows>', 'rows per batch', numberOption(1, 100_000))
    .option('--offset <rows>', 'rows to pass over first, in key order', numberOption(0, 1e15))
    .option('--limit <rows>', 'rows to look at; all unless given', numberOption(1, 1e15))
    .option('--sample <rows>', 'look at so many random rows, or at a share of them as in 1%', sampleOption)
    .action(
      action<[string], Options>(async (cli, [plan], options) => {
        const report = await dryRun(cli.client(), plan, options, cli.signal);
        cli.out.result(report, () => dryRunLines(cli.out.style, report.report));
        return problemsOf(report.report).length > 0 ? EXIT.failed : EXIT.ok;
      }),
    );
};

/** Makes a dry run and waits for its report, however long that takes. */
export async function dryRun(
  client: ApiClient,
  plan: string,
  request: DryRunRequest,
  signal?: AbortSignal | undefined,
): Promise<DryRunReport> {
  const path = `/api/plans/${encodeURIComponent(plan)}/dry-run`;
  const answer = await client.post<{ id: string; report?: DryRunReport['report'] }>(path, request, {
    signal,
  });
  if (answer.report) return { id: answer.id, report: answer.report };
  for (;;) {
    const state = await client.get<DryRun>(`/api/dry-runs/${answer.id}`, { signal });
    if (state.report) return { id: answer.id, report: state.report };
    await delay(1_000, undefined, { ...(signal && { signal }) });
  }
}
