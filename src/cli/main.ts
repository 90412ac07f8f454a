#!/usr/bin/env node
import { runCli } from './program.ts';

const LINGER_MS = 2_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first asks, the second insists. Servers of the dev stack hear of the exit and end as well.
    if (stopping.signal.aborted) process.exit(130);
    stopping.abort(new Error(`stopped by ${signal}`));
  });
}

const { stdout, stderr } = process;
// A reader that has seen enough, such as `head`, is no error.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.exitCode = await runCli(process.argv.slice(2), { stdout, stderr, signal: stopping.signal });
// Everything is closed by now. What lingers all the same, such as a native runtime after a failed start, keeps nobody waiting.
setTimeout(() => process.exit(), LINGER_MS).unref();
