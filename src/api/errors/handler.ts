import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { PlanRefused } from '../../plan/parse.ts';
import { ApiProblem } from './problem.ts';
import { isDatabaseFault, isTemporalFault } from './recognize.ts';
import { requestProblems } from './request-problems.ts';
import { temporalProblem } from './temporal-problem.ts';

/** Sets the one place where errors become responses. */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) => {
    const detail = `There is no ${request.method} ${pathOf(request)}; /api/docs lists what there is.`;
    return sendProblem(request, reply, new ApiProblem('not-found', detail));
  });
}

/** Answers an error; also one of a request that found no route, because its path cannot be read. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error, request);
  if (problem.statusCode >= 500) {
    const level = problem.kind === 'internal-error' ? 'error' : 'warn';
    request.log[level]({ err: error }, `${request.method} ${pathOf(request)} failed: ${problem.message}`);
  }
  return sendProblem(request, reply, problem);
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: ApiProblem): FastifyReply {
  if (problem.statusCode === 401) reply.header('www-authenticate', 'Bearer realm="cutover"');
  if (problem.statusCode === 503) reply.header('retry-after', '5');
  return reply
    .code(problem.statusCode)
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(problem.toBody(pathOf(request), request.id));
}

function toProblem(error: FastifyError, request: FastifyRequest): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof PlanRefused) return planRefused(error);
  if (error.validation) {
    const problems = requestProblems(error.validation, error.validationContext);
    const detail = problems.map(({ path, problem, fix }) => `${path}: ${problem}; ${fix}`).join('. ');
    return new ApiProblem('invalid-request', detail, { problems });
  }
  if (isTemporalFault(error)) return temporalProblem(error, 'the request could not be carried out');
  if (isDatabaseFault(error)) {
    return new ApiProblem(
      'control-database-unreachable',
      'The control database does not answer; try again when /readyz says that it is back.',
    );
  }
  return refusedByServer(error) ?? internalError(request);
}

function planRefused({ problems }: PlanRefused): ApiProblem {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  return new ApiProblem(
    'plan-refused',
    `The plan has ${count}; "problems" says where and what would be right.`,
    {
      problems,
    },
  );
}

/** What fastify refuses before a handler runs: bodies that can't be read. */
function refusedByServer(error: FastifyError): ApiProblem | undefined {
  switch (error.statusCode) {
    case 413:
      return new ApiProblem('too-large', 'The body is larger than 1 MiB, and no request needs to be.');
    case 415:
      return new ApiProblem(
        'unsupported-media-type',
        'Send application/json; POST /api/plans takes application/yaml as well.',
      );
    default:
      return error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500
        ? new ApiProblem('invalid-request', error.message)
        : undefined;
  }
}

function internalError(request: FastifyRequest): ApiProblem {
  return new ApiProblem('internal-error', `It is in the log of the API under request ${request.id}.`);
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? request.url;
}
