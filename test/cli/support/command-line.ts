import { runCli } from '../../../src/cli/program.ts';

export type Outcome = { code: number; stdout: string; stderr: string };

/** Runs one command line in this process, with nothing of this machine's environment. */
export async function cutover(
  args: string[],
  env: NodeJS.ProcessEnv = {},
  signal?: AbortSignal,
): Promise<Outcome> {
  const [stdout, stderr] = [new TextSink(), new TextSink()];
  const code = await runCli(args, {
    stdout,
    stderr,
    env: { CUTOVER_DIR: '/nowhere/cutover', ...env },
    signal,
  });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

class TextSink {
  text = '';

  write(chunk: string | Uint8Array): boolean {
    this.text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    return true;
  }
}
