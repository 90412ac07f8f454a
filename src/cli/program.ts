import { Command, CommanderError } from 'commander';
import { type Action, Cli, type Io } from './cli.ts';
import { COMMANDS } from './commands/index.ts';
import { CliError, EXIT, EXIT_CODES_HELP, type ExitCode } from './exit.ts';
import { createStyle } from './output/style.ts';

/**
 * Runs one command line and gives its exit code. Says on stderr what went wrong and what to do next; with `--json`,
 * stdout holds it as a document too.
 * @param args the arguments after the program's name.
 */
export async function runCli(args: string[], io: Io): Promise<ExitCode> {
  let result: ExitCode | undefined;
  const program = createProgram(io, (code) => {
    result = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return result ?? EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (wasStopped(error, io.signal)) return EXIT.stopped;
    return explain(error, io, args);
  }
}

/** Aborted work fails by the signal's reason, or by an AbortError where a timer was waiting. */
function wasStopped(error: unknown, signal: AbortSignal | undefined): boolean {
  if (!signal?.aborted) return false;
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}

function createProgram(io: Io, done: (code: ExitCode | undefined) => void): Command {
  const action: Action =
    (work) =>
    async (...all) => {
      const command = all.at(-1) as Command;
      const code = await work(new Cli(io, command), command.processedArgs as never, command.opts() as never);
      done(code ?? undefined);
    };
  const program = new Command('cutover')
    .description('Runs data migration plans durably, with a way back at each step.')
    .option('--url <url>', 'address of the API (CUTOVER_API_URL, else the dev stack that runs here)')
    .option('--token <token>', 'bearer token (CUTOVER_TOKEN, else the admin of the dev stack)')
    .option('--as <name>', 'act as this token holder of the dev stack: operator, approver, viewer')
    .option('--dir <directory>', 'directory of the dev stack (CUTOVER_DIR)')
    .option('--json', 'print documents for programs on stdout, and nothing else there')
    .option('--verbose', 'show where in the code an error arose')
    .showHelpAfterError('(`--help` shows what there is)')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText('after', EXIT_CODES_HELP);
  for (const register of COMMANDS) register(program, action);
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
    });
  }
  return program;
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** What an error from elsewhere goes back to: a failed query says only there what the database objected to. */
function causes(error: unknown): string[] {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? [`because: ${cause.message}`, ...causes(cause)] : [];
}

function explain(error: unknown, io: Io, args: string[]): ExitCode {
  const known = error instanceof CliError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  const style = createStyle(io.stderr.isTTY === true && io.stderr.hasColors?.() === true);
  const lines = [
    `${style.red('error:')} ${message}`,
    ...(known ? known.details : causes(error)).map((detail) => `  ${detail}`),
    ...(known?.next ? [`${style.dim('next:')}  ${known.next}`] : []),
    ...(args.includes('--verbose') && error instanceof Error && error.stack ? [error.stack] : []),
  ];
  io.stderr.write(`${lines.join('\n')}\n`);
  const exitCode = known?.exitCode ?? EXIT.failed;
  if (args.includes('--json')) {
    const document = { error: { message, exitCode, next: known?.next ?? null, ...known?.problem } };
    io.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  }
  return exitCode;
}
