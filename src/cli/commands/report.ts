import { writeFile } from 'node:fs/promises';
import { Option } from 'commander';
import type { Register } from '../cli.ts';
import { CliError, EXIT } from '../exit.ts';

type Options = { format: 'json' | 'csv'; output?: string };

export const registerReport: Register = (program, action) => {
  program
    .command('report')
    .description('print or save the whole evidence of a run')
    .argument('<run>', "the run's id")
    .addOption(
      new Option('--format <format>', 'csv holds the exceptions only')
        .choices(['json', 'csv'])
        .default('json'),
    )
    .option('--output <file>', 'write to this file instead of stdout')
    .action(
      action<[string], Options>(async (cli, [runId], { format, output }) => {
        const client = cli.client();
        const path = `/api/runs/${encodeURIComponent(runId)}/report?format=${format}`;
        const accept = format === 'csv' ? 'text/csv' : 'application/json';
        const text = await (await client.request('GET', path, { headers: { accept } })).text();
        if (output === undefined) {
          cli.out.stdout.write(format === 'json' ? `${JSON.stringify(JSON.parse(text), null, 2)}\n` : text);
          return EXIT.ok;
        }
        await writeFile(output, text).catch((error: Error) => {
          throw new CliError(`the report could not be written: ${error.message}`, {
            exitCode: EXIT.failed,
            next: 'name another file with --output',
          });
        });
        cli.out.result({ output, format, bytes: Buffer.byteLength(text) }, () => [
          `The report is in ${output}`,
        ]);
        return EXIT.ok;
      }),
    );
};
