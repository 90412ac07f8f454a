import { selectVerification, type Verification } from '../../targets/postgres/verify/verifications.ts';
import type { Target } from '../../targets/target.ts';

/** How far the phase's verification is on the target; undefined when it never began there. */
export function readVerification(
  target: Target,
  runId: string,
  phase: string,
): Promise<Verification | undefined> {
  return target.transaction({ readOnly: true }, (session) => selectVerification(session, runId, phase));
}
