import type { MigrationLog } from '../../api/schemas/migration-log.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';
import { count, moment, span } from '../output/format.ts';
import { table } from '../output/table.ts';
import { numberOption } from './options.ts';

type Options = { run?: string; plan?: string; limit: number };

const right = (title: string) => ({ title, align: 'right' as const });

export const registerLog: Register = (program, action) => {
  program
    .command('log')
    .description('show the migration log: what each backfill, dry run and undo did, and who started it')
    .option('--run <run>', 'of this run only')
    .option('--plan <plan>', 'of this plan only')
    .option('--limit <number>', 'latest entries', numberOption(1, 10_000), 20)
    .action(
      action<[], Options>(async (cli, _args, { run, plan, limit }) => {
        const query = new URLSearchParams({
          limit: String(limit),
          ...(run && { run }),
          ...(plan && { plan }),
        });
        const answer = await cli.client().get<MigrationLog>(`/api/migration-log?${query}`);
        cli.out.result(answer, () =>
          answer.entries.length === 0
            ? ['The migration log is empty.']
            : table(
                cli.out.style,
                [
                  { title: 'started' },
                  { title: 'run' },
                  { title: 'phase' },
                  { title: 'what' },
                  { title: 'table' },
                  ...['processed', 'succeeded', 'skipped', 'ambiguous', 'failed', 'took'].map(right),
                  { title: 'by' },
                  { title: 'outcome' },
                ],
                answer.entries.map((entry) => [
                  moment(entry.startedAt),
                  entry.run,
                  entry.phase,
                  entry.action,
                  entry.table,
                  count(entry.processed),
                  count(entry.succeeded),
                  count(entry.skipped),
                  count(entry.ambiguous),
                  count(entry.failed),
                  span(entry.startedAt, entry.finishedAt),
                  entry.performedBy,
                  entry.outcome ?? '',
                ]),
              ),
        );
        return EXIT.ok;
      }),
    );
};
