import { Readable } from 'node:stream';
import { listAudit } from '../../../db/audit.ts';
import { allExceptions } from '../../../db/exceptions.ts';
import { listMeasurements } from '../../../db/gate-measurements.ts';
import { listLog } from '../../../db/migration-log.ts';
import { listPhases } from '../../../db/run-phases.ts';
import type { Run } from '../../../db/runs.ts';
import { attachment, csvStream } from '../../csv.ts';
import type { ApiDependencies } from '../../dependencies.ts';
import {
  keyTexts,
  presentAuditEntry,
  presentException,
  presentLogEntry,
  presentMeasurement,
  presentPlan,
} from '../../present/records.ts';
import { presentPhase, presentRun } from '../../present/run.ts';
import { planOf, requireRun } from '../../runs/run-detail.ts';
import { runIdParams, streamedText } from '../../schemas/common.ts';
import { type Report, reportQuery, reportSchema } from '../../schemas/report.ts';
import type { Routes } from '../../server.ts';

/** More commands than anybody gives a run. */
const AUDIT_LIMIT = 10_000;
const COLUMNS = [
  ...['key', 'kind', 'reason', 'suggestion', 'sqlstate', 'phase'],
  ...['id', 'status', 'note', 'value', 'decidedBy', 'decidedAt'],
];

export const reportRoutes: Routes = (deps) => async (app) => {
  app.get(
    '/api/runs/:id/report',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['runs'],
        summary: 'The whole evidence of a run',
        params: runIdParams,
        querystring: reportQuery,
        response: {
          200: {
            description: 'Everything as JSON, or the rows that were set aside as CSV',
            content: {
              'application/json': { schema: reportSchema },
              'text/csv': { schema: streamedText },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const run = await requireRun(deps, request.params.id);
      const { format } = request.query;
      const file = format === 'csv' ? `${run.id}-exceptions.csv` : `${run.id}-report.json`;
      reply.header('content-disposition', attachment(file));
      if (format === 'csv') {
        return reply.type('text/csv; charset=utf-8').send(csvStream(exceptionRows(deps, run), COLUMNS));
      }
      const head = await evidence(deps, run);
      return reply.type('application/json; charset=utf-8').send(Readable.from(reportText(deps, run, head)));
    },
  );
};

/** All but the exceptions, which can be many. */
async function evidence(deps: ApiDependencies, run: Run): Promise<Omit<Report, 'exceptions'>> {
  const { db } = deps;
  const [plan, phases, log, gates, auditTrail] = await Promise.all([
    planOf(deps, run),
    listPhases(db, [run.id]),
    listLog(db, { runId: run.id, limit: AUDIT_LIMIT }),
    listMeasurements(db, run.id),
    listAudit(db, { subject: run.id, limit: AUDIT_LIMIT }),
  ]);
  const planned = new Map(plan.document.phases.map((phase) => [phase.name, phase]));
  return {
    generatedAt: new Date().toISOString(),
    run: presentRun(run),
    plan: presentPlan(plan),
    phases: phases.map((phase) => presentPhase(run, phase, planned.get(phase.name))),
    log: log.map(presentLogEntry),
    gates: gates.map(presentMeasurement),
    audit: auditTrail.map(presentAuditEntry),
  };
}

/** The report's JSON in pieces, so that memory stays flat however many exceptions there are. */
async function* reportText(
  { db }: ApiDependencies,
  run: Run,
  head: Omit<Report, 'exceptions'>,
): AsyncGenerator<string> {
  // The head ends in "}", which makes way for the list.
  yield `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "exceptions": [`;
  let separator = '\n    ';
  for await (const page of allExceptions(db, run.id)) {
    for (const exception of page) {
      yield separator + JSON.stringify(presentException(exception));
      separator = ',\n    ';
    }
  }
  yield '\n  ]\n}\n';
}

async function* exceptionRows({ db }: ApiDependencies, run: Run): AsyncGenerator<Record<string, unknown>> {
  for await (const page of allExceptions(db, run.id)) {
    for (const exception of page) {
      const texts = keyTexts(exception.key);
      yield { ...presentException(exception), key: texts.length === 1 ? texts[0] : exception.key };
    }
  }
}
