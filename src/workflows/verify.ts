import { condition, continueAsNew, setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { VerifyInput, VerifySliceResult } from '../contracts/activities.ts';
import type { PhaseInput, PhaseOutcome } from '../contracts/runs.ts';
import type { VerifyPhase } from '../domain/plan.ts';
import { asRowCounts, verifiedInWords } from '../domain/verification.ts';
import { lane, long } from './activities.ts';
import { Lanes } from './lanes.ts';
import { phaseRef } from './phase.ts';
import { listenForCommands } from './phase-commands.ts';
import { untilOpen } from './until-open.ts';

/**
 * Derives every row of the backfill again and compares, on several lanes at once, each in slices of minutes; repairs what
 * differs, or fails with it. When the phase is tried again, it begins from the first row.
 */
export async function verifyPhase(input: PhaseInput<VerifyPhase>): Promise<PhaseOutcome> {
  const work = verifyInput(input);
  const lanes = new Lanes(work.verify.parallelism);
  const heard = listenForCommands(input.paused, (command) => {
    if (command.kind === 'pause') lanes.interrupt();
    if (command.kind === 'throttle') lanes.resize(command.connections);
  });
  let latest: VerifySliceResult | undefined;

  const runSlice = async (number: number): Promise<'again' | 'stop'> => {
    const summary = `Verify ${work.backfill.table}, lane ${number + 1}`;
    const verify = { ...work.verify, parallelism: lanes.wanted };
    latest = await lane(input.target, summary).verifySlice({ ...work, verify, lane: number });
    setCurrentDetails(verifiedInWords(latest.counts));
    return latest.done || latest.closed || workflowInfo().continueAsNewSuggested ? 'stop' : 'again';
  };

  while (!latest?.done) {
    if (latest?.closed) await untilOpen(work, latest.closed);
    latest = undefined;
    // A pause may have come while it was closed.
    await condition(() => !heard.paused);
    if (workflowInfo().continueAsNewSuggested) {
      const resized = { ...input.phase, parallelism: lanes.wanted };
      await continueAsNew<typeof verifyPhase>({ ...input, phase: resized, paused: heard.paused });
    }
    await lanes.work(runSlice);
  }

  const counts = await long(input.target, 'Record the result of the verification').finishVerification(work);
  return { kind: 'done', summary: verifiedInWords(counts), counts: asRowCounts(counts) };
}

/** @throws Error when the plan has no such backfill, which its lint refuses. */
function verifyInput(input: PhaseInput<VerifyPhase>): VerifyInput {
  const { phase, backfill, syncs = [], performedBy } = input;
  if (!backfill) throw new Error(`verify "${phase.name}" names no backfill of the plan`);
  // The same for as long as the workflow goes on, also as new; another one when the phase is tried again.
  const attempt = workflowInfo().firstExecutionRunId;
  return { ...phaseRef(input), verify: phase, backfill, syncs, attempt, performedBy };
}
