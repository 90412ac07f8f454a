import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { devNull } from 'node:os';

/** What squawk says of a place in a text; lines and columns count from 0, columns in bytes. */
export type SquawkFinding = {
  line: number;
  column: number;
  level: 'Warning' | 'Error';
  rule_name: string;
  message: string;
  help: string | null;
};

/** The linter could not be run at all, so nothing is known about the statements. */
export class DdlLinterFailed extends Error {
  override name = 'DdlLinterFailed';
}

const TIMEOUT_MS = 30_000;
const MOST_OUTPUT_BYTES = 64 * 1024 ** 2;

/**
 * Runs squawk over a text. No configuration file is read: one beside the plan, or wherever the server was started, would
 * decide unseen which findings count.
 * @throws DdlLinterFailed
 */
export async function squawk(sql: string, options: readonly string[] = []): Promise<SquawkFinding[]> {
  const output = await run(executable(), ['--reporter=json', `--config=${devNull}`, ...options], sql);
  try {
    return JSON.parse(output) as SquawkFinding[];
  } catch (error) {
    throw new DdlLinterFailed(`the DDL linter squawk answered with something else than JSON: ${output}`, {
      cause: error,
    });
  }
}

/** @throws DdlLinterFailed where the package registry has no squawk for the platform, or it was left out. */
function executable(): string {
  try {
    const { getBinaryPath } = createRequire(import.meta.url)('squawk-cli/js/index.js') as {
      getBinaryPath(): string;
    };
    return getBinaryPath();
  } catch (error) {
    throw new DdlLinterFailed(
      `the DDL linter is not installed (${(error as Error).message}); run npm ci without --omit=optional`,
      { cause: error },
    );
  }
}

/** Findings that are errors make the exit code 1; what then counts is that there is an answer. */
function run(command: string, args: string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const limits = { timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT_BYTES };
    const child = execFile(command, args, limits, (error, stdout, stderr) => {
      if (stdout !== '') resolve(stdout);
      else
        reject(
          new DdlLinterFailed(`the DDL linter squawk did not answer: ${stderr || error?.message}`, {
            cause: error,
          }),
        );
    });
    // A process that ends without reading says why by itself.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
