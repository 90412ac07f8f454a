import { ApiProblem } from './problem.ts';
import { temporalRefusal } from './recognize.ts';

/**
 * What to tell a caller of a fault of the Temporal server.
 * @param consequence what follows for the caller's request: `nothing was started`.
 */
export function temporalProblem(error: unknown, consequence: string): ApiProblem {
  const refusal = temporalRefusal(error);
  return refusal === undefined
    ? new ApiProblem(
        'temporal-unreachable',
        `The Temporal server does not answer, so ${consequence}; try again when /readyz says that it is back.`,
        {},
        { cause: error },
      )
    : new ApiProblem(
        'temporal-refused',
        `The Temporal server refused, so ${consequence}: ${refusal}.`,
        {},
        { cause: error },
      );
}
