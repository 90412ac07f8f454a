import { type Command, Option } from 'commander';
import type {
  DecideManyRequest,
  DecideOneRequest,
  DecisionResult,
  ExceptionGroups,
  ExceptionList,
  RowException,
} from '../../api/schemas/exceptions.ts';
import { EXCEPTION_KINDS, EXCEPTION_STATUSES } from '../../domain/row-exception.ts';
import type { ApiClient } from '../api-client.ts';
import type { Cli, Register } from '../cli.ts';
import { CliError, EXIT, type ExitCode } from '../exit.ts';
import { decisionLines, exceptionDetail, exceptionLines, groupLines } from '../output/exceptions.ts';

type Filter = {
  phase?: string;
  kind?: string;
  status?: string;
  reason?: string;
  reasonContains?: string;
  sqlstate?: string;
};
type Decide = Filter & { all?: boolean; because?: string };
type Resolve = Decide & { value?: string; suggestion?: boolean; evenIfChanged?: boolean };

export const registerExceptions: Register = (program, action) => {
  const exceptions = program
    .command('exceptions')
    .description('rows that a run set aside: list them, and decide what becomes of them');
  const run = ['<run>', "the run's id"] as const;

  withFilter(exceptions.command('list', { isDefault: true }))
    .description('list them by key, each with its reason')
    .argument(...run)
    .action(
      action<[string], Filter>(async (cli, [runId], filter) => {
        const found = await listExceptions(cli.client(), runId, filter);
        const none = Object.keys(filter).length === 0 ? 'No row was set aside.' : 'There is none of these.';
        cli.out.result({ exceptions: found }, () =>
          found.length === 0 ? [none] : exceptionLines(cli.out.style, found),
        );
        return EXIT.ok;
      }),
    );

  withFilter(exceptions.command('reasons'))
    .description('the reasons, with the number of rows for each')
    .argument(...run)
    .action(
      action<[string], Filter>(async (cli, [runId], filter) => {
        const query = new URLSearchParams({ ...filter, limit: '1000' });
        const groups = await cli.client().get<ExceptionGroups>(`${pathOf(runId)}/reasons?${query}`);
        cli.out.result(groups, () =>
          groups.reasons.length === 0 ? ['No row was set aside.'] : groupLines(cli.out.style, groups),
        );
        return EXIT.ok;
      }),
    );

  exceptions
    .command('show')
    .description('one of them, with the statement that failed and its parameters')
    .argument(...run)
    .argument('<id>', 'as the list has it')
    .action(
      action<[string, string]>(async (cli, [runId, id]) => {
        const found = await cli.client().get<RowException>(`${pathOf(runId)}/${encodeURIComponent(id)}`);
        cli.out.result(found, () => exceptionDetail(cli.out.style, found));
        return EXIT.ok;
      }),
    );

  decision(exceptions, 'resolve', 'write a value to the rows, or what the transform suggested')
    .option('--value <json>', 'columns and their values as a JSON object: {"plan": "basic"}')
    .option('--suggestion', 'write what the transform suggested for each row')
    .option('--even-if-changed', 'also where the row has changed since it was set aside')
    .action(action<[string, string[]], Resolve>(resolve));

  decision(
    exceptions,
    'replay',
    'derive the rows again, after the rows or what they refer to were corrected',
  ).action(
    action<[string, string[]], Decide>((cli, [runId, ids], { because, ...which }) =>
      decide(cli, 'replay', runId, ids, which, { reason: because }),
    ),
  );

  decision(exceptions, 'skip', 'leave the rows as they are, for a reason').action(
    action<[string, string[]], Decide>(async (cli, [runId, ids], { because, ...which }) => {
      if (because) return decide(cli, 'skip', runId, ids, which, { reason: because });
      throw new CliError('no reason is given', { exitCode: EXIT.usage, next: 'say why with --because' });
    }),
  );
};

/** Every exception of the run, over as many pages as there are. */
export async function listExceptions(
  client: ApiClient,
  runId: string,
  filter: Filter = {},
): Promise<RowException[]> {
  const found: RowException[] = [];
  for (let after: string | null = ''; after !== null; ) {
    const query = new URLSearchParams({ ...filter, ...(after && { after }), limit: '1000' });
    const page: ExceptionList = await client.get(`${pathOf(runId)}?${query}`);
    found.push(...page.exceptions);
    after = page.next;
  }
  return found;
}

function withFilter(command: Command): Command {
  return command
    .option('--phase <name>', 'of this backfill phase')
    .addOption(new Option('--kind <kind>', 'of this kind').choices([...EXCEPTION_KINDS]))
    .addOption(new Option('--status <status>', 'of this status').choices([...EXCEPTION_STATUSES]))
    .option('--reason <text>', 'with this reason, in full')
    .option('--reason-contains <text>', 'with this in their reason')
    .option('--sqlstate <code>', 'that the database refused so');
}

function decision(parent: Command, name: string, description: string): Command {
  return withFilter(parent.command(name))
    .description(description)
    .argument('<run>', "the run's id")
    .argument('[ids...]', 'ids as the list has them; else those that the options name')
    .option('--all', 'every open exception of the phase')
    .option('--because <text>', 'kept with the exceptions and in the audit trail');
}

async function resolve(cli: Cli, [runId, ids]: [string, string[]], options: Resolve): Promise<ExitCode> {
  const { value, suggestion, evenIfChanged, because, ...which } = options;
  if ((value === undefined) === (suggestion === undefined)) {
    throw new CliError('it is not clear what to write', {
      exitCode: EXIT.usage,
      next: 'give either --value or --suggestion',
    });
  }
  return decide(cli, 'resolve', runId, ids, which, {
    ...(value === undefined ? { acceptSuggestion: true } : { values: valuesOf(value) }),
    ...(evenIfChanged ? { evenIfChanged } : {}),
    reason: because,
  });
}

/** One row answers with its exception, many with their numbers. */
async function decide(
  cli: Cli,
  decision: 'resolve' | 'replay' | 'skip',
  runId: string,
  ids: string[],
  { all, ...filter }: Omit<Decide, 'because'>,
  body: DecideOneRequest,
): Promise<ExitCode> {
  const client = cli.client();
  const { style } = cli.out;
  const [id, ...others] = ids;
  if (id !== undefined && others.length === 0 && !all && Object.keys(filter).length === 0) {
    const path = `${pathOf(runId)}/${encodeURIComponent(id)}/${decision}`;
    const exception = await client.post<RowException>(path, body);
    cli.out.result(exception, () => exceptionDetail(style, exception));
    return exception.status === 'open' ? EXIT.failed : EXIT.ok;
  }
  const which = { ...filter, ...(ids.length > 0 ? { ids } : {}), ...(all ? { all } : {}) };
  const request = { ...body, filter: which } as DecideManyRequest;
  const result = await client.post<DecisionResult>(`${pathOf(runId)}/${decision}`, request);
  cli.out.result(result, () => decisionLines(style, result));
  return result.left + result.unknown.length > 0 ? EXIT.failed : EXIT.ok;
}

function valuesOf(text: string): Record<string, unknown> {
  try {
    const values: unknown = JSON.parse(text);
    if (typeof values === 'object' && values !== null && !Array.isArray(values)) {
      return values as Record<string, unknown>;
    }
  } catch {
    // Said below, as for any other text.
  }
  throw new CliError('--value is no JSON object', {
    exitCode: EXIT.usage,
    next: `write columns and their values: --value '{"plan": "basic"}'`,
  });
}

function pathOf(runId: string): string {
  return `/api/runs/${encodeURIComponent(runId)}/exceptions`;
}
