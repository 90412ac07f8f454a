import { listAudit } from '../../../db/audit.ts';
import { presentAuditEntry } from '../../present/records.ts';
import { auditListSchema, auditQuery } from '../../schemas/audit.ts';
import type { Routes } from '../../server.ts';

export const auditRoutes: Routes =
  ({ db }) =>
  async (app) => {
    app.get(
      '/api/audit',
      {
        config: { access: 'admin' },
        schema: {
          tags: ['evidence'],
          summary: 'Who asked for what, and whether it was accepted; newest first',
          querystring: auditQuery,
          response: { 200: auditListSchema },
        },
      },
      async (request) => ({ entries: (await listAudit(db, request.query)).map(presentAuditEntry) }),
    );
  };
