import type { RollbackPreview } from '../../api/schemas/rollback-preview.ts';
import type { Cli } from '../cli.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { previewLines } from '../output/rollback-preview.ts';

/** Shows what a rollback of the run would do; exit 1 when it would be refused. */
export async function showRollbackPreview(cli: Cli, runId: string, count: boolean): Promise<ExitCode> {
  const path = `/api/runs/${encodeURIComponent(runId)}/rollback-preview?kept=${count ? 'count' : 'estimate'}`;
  const preview = await cli.client().get<RollbackPreview>(path, { signal: cli.signal });
  cli.out.result(preview, () => previewLines(cli.out.style, preview));
  return preview.refusedBecause === null ? EXIT.ok : EXIT.failed;
}
