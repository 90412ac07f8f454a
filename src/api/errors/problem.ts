import type { PlanProblem } from '../../domain/plan-problem.ts';
import type { Role } from '../../domain/role.ts';

/** Kinds of errors with their status and title; docs/api.md explains each. */
const KINDS = {
  'invalid-request': { status: 400, title: 'The request is not right' },
  unauthorized: { status: 401, title: 'No valid token' },
  forbidden: { status: 403, title: 'The role is not enough' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'active-run-exists': { status: 409, title: 'The plan is already running' },
  'command-refused': { status: 409, title: 'The run does not take this command now' },
  'run-waiting': { status: 409, title: 'The run waits for a person' },
  'run-ended': { status: 409, title: 'The run ended before its backfill was done' },
  'exception-undecided': { status: 409, title: 'The exception is as it was' },
  'too-large': { status: 413, title: 'The request is too large' },
  'unsupported-media-type': { status: 415, title: 'The content type is not known here' },
  'plan-refused': { status: 422, title: 'The plan has problems' },
  'dry-run-failed': { status: 422, title: 'The dry run could not be carried out' },
  'value-refused': { status: 422, title: 'The value does not fit its column' },
  'decision-failed': { status: 422, title: 'The decision could not be carried out' },
  'preview-failed': { status: 422, title: 'The preview could not be made' },
  'forget-failed': { status: 422, title: 'The run could not be forgotten' },
  'undo-rows-failed': { status: 422, title: 'The rows could not be restored' },
  'idempotency-key-reused': { status: 422, title: 'The Idempotency-Key belongs to another request' },
  'internal-error': { status: 500, title: 'Something went wrong on our side' },
  'temporal-unreachable': { status: 503, title: 'The Temporal server does not answer' },
  'temporal-refused': { status: 503, title: 'The Temporal server refused' },
  'control-database-unreachable': { status: 503, title: 'The control database does not answer' },
  'not-confirmed': { status: 503, title: 'Nobody confirmed in time' },
} as const;

export type ProblemKind = keyof typeof KINDS;

type ProblemDetails = {
  problems?: PlanProblem[];
  runId?: string;
  state?: string;
  role?: Role;
  required?: Role;
};

/** An error that its caller is told of as RFC 9457 has it. */
export class ApiProblem extends Error {
  readonly kind: ProblemKind;
  readonly statusCode: number;
  readonly details: ProblemDetails;

  /** @param detail what happened and what to do next, for the caller. */
  constructor(kind: ProblemKind, detail: string, details: ProblemDetails = {}, options?: ErrorOptions) {
    super(detail, options);
    this.name = 'ApiProblem';
    this.kind = kind;
    this.statusCode = KINDS[kind].status;
    this.details = details;
  }

  /** The response's body. */
  toBody(instance: string, requestId: string) {
    const { status, title } = KINDS[this.kind];
    const type = `urn:cutover:problem:${this.kind}`;
    return { type, title, status, detail: this.message, instance, requestId, ...this.details };
  }
}

export function unknownRun(runId: string): ApiProblem {
  return new ApiProblem('not-found', `There is no run "${runId}"; GET /api/runs lists the runs that exist.`);
}

export function unknownPlan(name: string, version?: number): ApiProblem {
  return new ApiProblem(
    'not-found',
    version === undefined
      ? `There is no plan "${name}"; GET /api/plans lists those that are registered, POST /api/plans registers one.`
      : `Plan "${name}" has no version ${version}; GET /api/plans/${name} shows its latest.`,
  );
}
