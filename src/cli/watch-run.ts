import type { RunDetail } from '../api/schemas/runs.ts';
import { isFinal } from '../domain/run-state.ts';
import type { ApiClient } from './api-client.ts';
import type { Cli } from './cli.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { followRun, getPlan, getRun } from './follow-run.ts';
import { EventLines } from './output/event-lines.ts';
import { LiveArea } from './output/live-area.ts';
import type { Output } from './output/output.ts';
import { runLines } from './output/run-view.ts';
import { type RunView, readEvent } from './run-view.ts';

const REDRAW_MS = 250;

/**
 * Shows a run until it is final: drawn in place on a terminal, a line per event elsewhere, a document per event with
 * `--json`.
 */
export async function watchRun(cli: Cli, client: ApiClient, runId: string): Promise<ExitCode> {
  const { out } = cli;
  const last = out.live ? await watchLive(cli, client, runId) : await watchLines(cli, client, runId);
  if (out.json) out.jsonLine({ type: 'end', run: last });
  else if (!out.live) out.lines(['', ...runLines(out.style, { run: last })]);
  return exitCodeOf(last);
}

/** The lines in full when the terminal is tall enough for them, else the compact ones. */
export function fitting(out: Output, lines: (compact: boolean) => string[]): string[] {
  const full = lines(false);
  return full.length < (out.stdout.rows ?? 50) - 1 ? full : lines(true);
}

/** 0 while nothing is wrong: the run completed or is under way. */
export function exitCodeOf(run: Pick<RunDetail, 'status'>): ExitCode {
  return isFinal(run.status) && run.status !== 'completed' ? EXIT.failed : EXIT.ok;
}

function watchLines(cli: Cli, client: ApiClient, runId: string): Promise<RunDetail> {
  const { out } = cli;
  const eventLines = new EventLines(out.style);
  return followRun(
    client,
    runId,
    {
      event(event) {
        if (out.json) return out.jsonLine(event);
        const line = eventLines.line(event);
        if (line) out.lines(line);
      },
      reconnecting: (reason) => out.note(`lost the connection (${reason}); trying again`),
    },
    cli.signal,
  );
}

async function watchLive(cli: Cli, client: ApiClient, runId: string): Promise<RunDetail> {
  const { out } = cli;
  const area = new LiveArea(out.stdout);
  const seen: Partial<RunView> = {
    plan: await getPlan(client, await getRun(client, runId, cli.signal), cli.signal),
  };
  let trouble: string | undefined;
  const draw = () => {
    const { run, ...rest } = seen;
    if (!run) return;
    const lines = fitting(out, (compact) => runLines(out.style, { run, ...rest }, compact));
    area.draw([...lines, ...(trouble ? ['', out.style.yellow(trouble)] : [])]);
  };
  // Between events only the clocks move.
  const clock = setInterval(draw, REDRAW_MS);
  try {
    return await followRun(
      client,
      runId,
      {
        event: (event) => readEvent(seen, event),
        detail(run) {
          trouble = undefined;
          seen.run = run;
          draw();
        },
        reconnecting: (reason) => {
          trouble = `lost the connection (${reason}); trying again`;
        },
      },
      cli.signal,
    );
  } finally {
    clearInterval(clock);
    draw();
  }
}
