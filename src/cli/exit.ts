/** Exit codes that scripts can rely on; listed in `cutover --help` and the README. */
export const EXIT = {
  ok: 0,
  /** The thing itself failed: a run failed or was rolled back, a plan was refused. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** Refused in this state or for this role: 401, 403, 409. */
  refused: 3,
  notFound: 4,
  unreachable: 5,
  /** Stopped by Ctrl-C before it was done. */
  stopped: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_CODES_HELP = `
Exit codes:
  0  it worked
  1  it failed: the run failed or was rolled back, the plan was refused
  2  the command line or the configuration is wrong
  3  refused: not in this state, or not for this role (409, 403, 401)
  4  there is no such thing (404)
  5  the server cannot be reached
  130  stopped by Ctrl-C before it was done`;

export type Explanation = {
  exitCode: ExitCode;
  /** What to do next, as an instruction. */
  next?: string | undefined;
  /** What is wrong in detail, a line each. */
  details?: string[] | undefined;
  /** The server's problem document, for `--json`. */
  problem?: Record<string, unknown> | undefined;
  cause?: unknown;
};

/** Something a person has to know: the message says what happened and where, `next` what to do about it. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly next: string | undefined;
  readonly details: string[];
  readonly problem: Record<string, unknown> | undefined;

  constructor(what: string, explanation: Explanation) {
    super(what, { cause: explanation.cause });
    this.name = 'CliError';
    this.exitCode = explanation.exitCode;
    this.next = explanation.next;
    this.details = explanation.details ?? [];
    this.problem = explanation.problem;
  }
}
