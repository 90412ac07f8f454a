import type { UndoRowsRequest, UndoRowsResult } from '../../api/schemas/undo-rows.ts';
import { plural } from '../../domain/plural.ts';
import type { Register } from '../cli.ts';
import { EXIT } from '../exit.ts';

export const registerUndoRows: Register = (program, action) => {
  program
    .command('undo-rows')
    .description('restore single rows of a backfill by their keys')
    .argument('<run>', "the run's id")
    .argument(
      '<keys...>',
      'a key each; of a composite key its values with commas between, or a JSON list as in reports',
    )
    .option('--phase <name>', "the backfill phase; the plan's only one unless given")
    .option('--composite', 'the table has a key of several columns')
    .option('--reason <text>', 'kept in the audit trail')
    .action(
      action<[string, string[]], { phase?: string; composite?: boolean; reason?: string }>(
        async (cli, [runId, keys], { phase, composite, reason }) => {
          const body: UndoRowsRequest = {
            phase,
            reason,
            keys: composite ? keys.map(compositeKey) : keys,
          };
          const path = `/api/runs/${encodeURIComponent(runId)}/undo-rows`;
          const result = await cli.client().post<UndoRowsResult>(path, body);
          const { restored, kept, unknown } = result;
          cli.out.result(result, () => [
            `${plural(restored.length, 'row')} restored`,
            ...(kept.length > 0 ? [`kept, because they changed since: ${names(kept)}`] : []),
            ...(unknown.length > 0 ? [`not migrated by this run, or undone already: ${names(unknown)}`] : []),
          ]);
          return restored.length === keys.length ? EXIT.ok : EXIT.failed;
        },
      ),
    );
};

function names(keys: string[][]): string {
  return keys.map((key) => key.join(',')).join(' ');
}

/** `eu,3`, or `["eu,west","3"]` where a value has a comma itself. */
function compositeKey(text: string): string[] {
  if (!text.startsWith('[')) return text.split(',');
  try {
    const values: unknown = JSON.parse(text);
    if (Array.isArray(values)) return values.map(String);
  } catch {
    // What only looks like a list is a value that begins with a bracket.
  }
  return text.split(',');
}
