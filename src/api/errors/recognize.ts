import {
  isGrpcServiceError,
  type isRetryableError,
  ServiceError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import pg from 'pg';

/*
 * Errors come wrapped: drizzle, the Temporal client and Node each keep the first error as the cause of their own.
 */

/** gRPC status codes that say no for good: asking again would get the same answer. */
const DEFINITE_REFUSALS = new Set([
  3, // INVALID_ARGUMENT
  5, // NOT_FOUND
  7, // PERMISSION_DENIED
  9, // FAILED_PRECONDITION
  12, // UNIMPLEMENTED
  16, // UNAUTHENTICATED
]);

const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EPIPE',
]);

/** Errors of node-postgres that have no code. */
const CONNECTION_LOST =
  /timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error/i;

/** Is the error that of the Temporal server not answering, or not letting us in? */
export function isTemporalFault(error: unknown): boolean {
  return causes(error).some(
    (cause) =>
      cause instanceof ServiceError ||
      cause instanceof NamespaceNotFoundError ||
      cause instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
      isGrpcServiceError(cause),
  );
}

/** In the server's words, why it refused for good; undefined when it did not answer, or may still do what was asked. */
export function temporalRefusal(error: unknown): string | undefined {
  for (const cause of causes(error)) {
    if (cause instanceof NamespaceNotFoundError) return `it has no namespace "${cause.namespace}"`;
    if (isGrpcServiceError(cause) && DEFINITE_REFUSALS.has(cause.code)) return cause.details;
  }
  return undefined;
}

/** What gRPC said, when the error is one of its own. */
export function grpcStatus(error: Error): Parameters<typeof isRetryableError>[0] | undefined {
  if (!isGrpcServiceError(error)) return undefined;
  const { code, details, metadata } = error;
  return { code, details, metadata };
}

/** Is the error that of the control database being away? */
export function isDatabaseFault(error: unknown): boolean {
  return causes(error).some((cause) => {
    if (cause instanceof pg.DatabaseError) {
      // 08: connection; 57P01 to 57P03: shutting down or starting up; 53300: too many connections.
      return /^(08|57P0[1-3]|53300)/.test(cause.code ?? '');
    }
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
    return NETWORK_CODES.has(code) || CONNECTION_LOST.test(cause.message);
  });
}

/** The error and everything that it was caused by, the outermost first. */
export function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  const open = [error];
  while (open.length > 0 && chain.length < 20) {
    const next = open.shift();
    if (!(next instanceof Error) || chain.includes(next)) continue;
    chain.push(next);
    // Connecting to a name with several addresses fails with one error for each.
    if (next instanceof AggregateError) open.push(...next.errors);
    open.push(next.cause);
  }
  return chain;
}

/** In one line, what is wrong with a server: the innermost error that says something. Open to everybody, so no addresses. */
export function describeFault(error: unknown): string {
  const chain = causes(error);
  for (const cause of chain.toReversed()) {
    if (isGrpcServiceError(cause))
      return cause.code === 4 ? 'no answer in time' : (cause.details.split(':')[0] ?? '');
    const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
    if (code) return code;
  }
  return chain.at(-1)?.message ?? 'no answer';
}
