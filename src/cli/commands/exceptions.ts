import { Option } from 'commander';
import type { ExceptionList, RowException } from '../../api/schemas/exceptions.ts';
import type { ApiClient } from '../api-client.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { exceptionLines } from '../output/exceptions.ts';

type Options = { phase?: string; kind?: string };

export const registerExceptions: Register = (program, action) => {
  program
    .command('exceptions')
    .description('list the rows that a run set aside, each with its reason')
    .argument('<run>', "the run's id")
    .option('--phase <name>', 'of this phase only')
    .addOption(new Option('--kind <kind>', 'of this kind only').choices(['ambiguous', 'failed', 'kept']))
    .action(
      action<[string], Options>(async (cli, [runId], options) => {
        const exceptions = await listExceptions(cli.client(), runId, options);
        cli.out.result({ exceptions }, () =>
          exceptions.length === 0 ? ['No row was set aside.'] : exceptionLines(cli.out.style, exceptions),
        );
        return EXIT.ok;
      }),
    );
};

/** Every exception of the run, over as many pages as there are. */
export async function listExceptions(
  client: ApiClient,
  runId: string,
  filter: Options = {},
): Promise<RowException[]> {
  const found: RowException[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const query = new URLSearchParams({ ...filter, ...(after && { after }), limit: '1000' });
    const page: ExceptionList = await client.get(
      `/api/runs/${encodeURIComponent(runId)}/exceptions?${query}`,
    );
    found.push(...page.exceptions);
    after = page.next;
  }
  return found;
}
