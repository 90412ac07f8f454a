import type { SSEReplyInterface } from '@fastify/sse';
import type { FastifyRequest } from 'fastify';
import { listEvents } from '../../../db/run-events.ts';
import { isFinal } from '../../../domain/run-state.ts';
import type { ApiDependencies } from '../../dependencies.ts';
import { presentEvent } from '../../present/records.ts';
import { requireRun } from '../../runs/run-detail.ts';
import { watchRun } from '../../runs/watch.ts';
import { runIdParams } from '../../schemas/common.ts';
import {
  END_EVENT,
  type EndEvent,
  type EventList,
  eventListSchema,
  eventsQuery,
} from '../../schemas/events.ts';
import type { Routes } from '../../server.ts';

const PAGE = 500;
/** Finds events whose notification was lost. */
const POLL_MS = 3_000;

export const eventRoutes: Routes = (deps) => async (app) => {
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  app.get(
    '/api/runs/:id/events',
    {
      sse: 'manual',
      exposeHeadRoute: false,
      config: { access: 'viewer' },
      schema: {
        tags: ['runs'],
        summary: 'What happens in a run, as it happens',
        description:
          'A text/event-stream that resumes after the Last-Event-ID header, and ends with an `end` event once the run ' +
          'is final; or a page of events for Accept: application/json.',
        params: runIdParams,
        querystring: eventsQuery,
        response: {
          200: {
            description: 'Events, oldest first',
            content: { 'application/json': { schema: eventListSchema } },
          },
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const after = lastEventId(request) ?? request.query.after ?? 0;
      await requireRun(deps, id);
      if (/\bapplication\/json\b/.test(request.headers.accept ?? '')) {
        return eventPage(deps, id, after, request.query.limit);
      }
      const gone = new AbortController();
      reply.sse.onClose(() => gone.abort());
      reply.sse.sendHeaders();
      reply.raw.flushHeaders();
      try {
        await stream(deps, reply.sse, {
          runId: id,
          after,
          stop: AbortSignal.any([gone.signal, closing.signal]),
        });
      } catch (error) {
        // The headers are out, so an error can only end the stream; the client comes back with its Last-Event-ID.
        request.log.warn({ err: error }, `the events of ${id} broke off`);
      }
    },
  );
};

/** An id that is none of ours is passed over: a client that reconnects by itself could not mend it. */
function lastEventId(request: FastifyRequest): number | undefined {
  const header = request.headers['last-event-id'];
  const id = Number(header);
  return header !== undefined && Number.isSafeInteger(id) && id >= 0 ? id : undefined;
}

async function eventPage(
  deps: ApiDependencies,
  runId: string,
  after: number,
  limit: number,
): Promise<EventList> {
  // The run is read first: if it is final by then, its last event is there as well.
  const run = await requireRun(deps, runId);
  const events = await listEvents(deps.db, runId, after, limit);
  return {
    events: events.map(presentEvent),
    next: events.at(-1)?.id ?? after,
    ended: isFinal(run.status) && events.length < limit,
  };
}

/** Sends every event after the given one, then each new one as it comes, until the run is final. */
async function stream(
  deps: ApiDependencies,
  sse: SSEReplyInterface,
  { runId, after, stop }: { runId: string; after: number; stop: AbortSignal },
): Promise<void> {
  const watch = watchRun(deps.wakeups, runId);
  const stopped = new Promise<void>((resolve) => {
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  // A client that reads nothing more and then goes away would leave its last write pending for ever.
  const send = (message: Parameters<typeof sse.send>[0]) => Promise.race([sse.send(message), stopped]);
  let seen = after;
  try {
    while (!stop.aborted) {
      // The run is read first: if it is final by then, its last event is there as well.
      const run = await requireRun(deps, runId);
      const events = await listEvents(deps.db, runId, seen, PAGE);
      for (const event of events) {
        if (stop.aborted) return;
        const { id, type, ...data } = presentEvent(event);
        await send({ id: String(id), event: type, data });
        seen = id;
      }
      if (events.length === PAGE) continue;
      if (isFinal(run.status)) {
        const data: EndEvent = { status: run.status, reason: run.reason };
        await send({ event: END_EVENT, data });
        return;
      }
      await watch.news(POLL_MS, stop);
    }
  } finally {
    watch.stop();
  }
}
