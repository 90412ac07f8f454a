import { listLog } from '../../../db/migration-log.ts';
import { attachment, csvStream } from '../../csv.ts';
import { presentLogEntry } from '../../present/records.ts';
import { streamedText } from '../../schemas/common.ts';
import {
  migrationLogEntrySchema,
  migrationLogQuery,
  migrationLogSchema,
} from '../../schemas/migration-log.ts';
import type { Routes } from '../../server.ts';

const COLUMNS = Object.keys(migrationLogEntrySchema.shape);

export const migrationLogRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/migration-log',
      {
        config: { access: 'viewer' },
        schema: {
          tags: ['evidence'],
          summary: 'What was processed, by whom, when and with what result; newest first',
          querystring: migrationLogQuery,
          response: {
            200: {
              description: 'Entries',
              content: {
                'application/json': { schema: migrationLogSchema },
                'text/csv': { schema: streamedText },
              },
            },
          },
        },
      },
      async (request, reply) => {
        const { run, plan, action, before, limit, format } = request.query;
        const rows = await listLog(db, { runId: run, plan, action, before, limit });
        const entries = rows.map(presentLogEntry);
        if (format === 'csv') {
          reply.header('content-disposition', attachment('migration-log.csv'));
          reply.type('text/csv; charset=utf-8');
          return reply.send(csvStream(each(entries), COLUMNS));
        }
        const next = entries.length < limit ? null : (entries.at(-1)?.id ?? null);
        return reply.type('application/json').send({ entries, next });
      },
    );
  };

async function* each<T>(items: T[]): AsyncGenerator<T> {
  yield* items;
}
