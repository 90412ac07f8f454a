import type { DecisionResult } from '../../domain/row-exception.ts';
import { hasOwnTables } from '../../targets/postgres/backfill/checkpoint.ts';
import {
  type DecisionScope,
  holdCheckpoint,
  storeVerdicts,
  type TakenException,
  takeExceptions,
  type Verdict,
} from '../../targets/postgres/backfill/exception-decisions.ts';
import { writingSession } from '../../targets/postgres/backfill/pin-session.ts';
import type { Session, Target } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { readContext } from '../backfill/context.ts';
import { isTooLong } from '../errors.ts';
import { type BackfillJob, batchOptions, SliceClock, type SliceOptions } from '../job.ts';
import { DecisionRefused } from './refused.ts';
import { replay } from './replay.ts';
import { type DecisionRequest, statusesOf } from './request.ts';
import { checkGiven, resolve } from './resolve.ts';
import { summarize } from './summarize.ts';

const BATCH = 200;

/**
 * Carries out what a person has decided about rows that a backfill set aside, in batches of one transaction each: rows,
 * pre-images, the exceptions' records and the backfill's counts commit together or not at all. Call it again, with the same
 * request, until it says `done`; a call that is repeated does nothing twice.
 * @throws DecisionRefused when the backfill is being undone or nothing of it is left; ValueRefused when given values do not
 * fit their columns; the signal's reason, or the server's error.
 */
export async function decideExceptions(
  target: Target,
  job: BackfillJob,
  request: DecisionRequest,
  options: SliceOptions = {},
): Promise<DecisionResult & { done: boolean }> {
  const clock = new SliceClock();
  const connection = {
    ...batchOptions(options),
    prelude: writingSession({ runId: job.runId, phase: job.phase.name }),
  };
  let size = Math.min(BATCH, job.phase.batchSize);
  let after = '0';
  let done = false;
  do {
    try {
      const last = await target.transaction(connection, (session) =>
        decideBatch(session, job, request, after, size),
      );
      done = last === undefined;
      after = last ?? after;
    } catch (error) {
      if (!isTooLong(error) || size === 1) throw error;
      size = Math.ceil(size / 2);
    }
  } while (!done && !clock.isOver(options));
  const result = await target.transaction({ ...batchOptions(options), readOnly: true }, (session) =>
    summarize(session, scopeOf(job, request), request),
  );
  return { ...result, done };
}

function scopeOf({ runId, phase }: BackfillJob, { request }: DecisionRequest): DecisionScope {
  return { runId, phase: phase.name, request };
}

/** Returns the id of the last exception that it has dealt with; undefined when there was none. */
async function decideBatch(
  session: Session,
  job: BackfillJob,
  request: DecisionRequest,
  after: string,
  size: number,
): Promise<string | undefined> {
  const scope = scopeOf(job, request);
  const { phase } = job;
  const checkpoint = (await hasOwnTables(session))
    ? await holdCheckpoint(session, job.runId, phase.name)
    : undefined;
  if (!checkpoint?.pinned) throw DecisionRefused.forgotten(job.runId, phase.name);
  const { decision, filter } = request;
  const taken = await takeExceptions(session, scope, filter, {
    statuses: statusesOf(request),
    acceptable: decision.kind === 'resolve' && !decision.values && !filter.ids,
    after,
    limit: size,
  });
  if (taken.length === 0) return undefined;
  const undecided = taken.filter(({ kind }) => kind !== 'kept');
  if (undecided.length > 0 && checkpoint.direction === 'undo')
    throw DecisionRefused.undone(job.runId, phase.name);
  const verdicts = [
    ...keptVerdicts(
      taken.filter(({ kind }) => kind === 'kept'),
      request,
    ),
    ...(await verdictsOf(session, job, undecided, request)),
  ];
  await storeVerdicts(session, scope, request.by, verdicts);
  return taken.at(-1)?.id;
}

/** Undo has left these rows as they are, and only an undo can change that. */
function keptVerdicts(kept: readonly TakenException[], { decision, note }: DecisionRequest): Verdict[] {
  return kept.map((exception) =>
    decision.kind === 'skip'
      ? { exception, status: 'skipped', note }
      : {
          exception,
          status: 'open',
          note: 'undo left the row as it is; undo the row again by its key (undo-rows), or skip it',
        },
  );
}

async function verdictsOf(
  session: Session,
  job: BackfillJob,
  taken: readonly TakenException[],
  { decision, note }: DecisionRequest,
): Promise<Verdict[]> {
  if (taken.length === 0) return [];
  if (decision.kind === 'skip') return taken.map((exception) => ({ exception, status: 'skipped', note }));
  const context = await contextOf(session, job);
  if (decision.kind === 'replay') return replay(session, job, context, taken);
  const given = decision.values && (await checkGiven(session, context, decision.values));
  return resolve(session, context, taken, { given, note, evenIfChanged: decision.evenIfChanged ?? false });
}

async function contextOf(session: Session, job: BackfillJob): Promise<BatchContext> {
  const context = await readContext(session, job);
  if (!context) throw DecisionRefused.forgotten(job.runId, job.phase.name);
  return context;
}
