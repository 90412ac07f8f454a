import { LOOK_UP_BY_KEY } from '../../targets/postgres/backfill/plan-choice.ts';
import {
  confirmSuspects,
  postponeSuspects,
  type Suspect,
  settleSuspects,
  takeDueSuspects,
} from '../../targets/postgres/verify/suspects.ts';
import { addSettled, type Settled } from '../../targets/postgres/verify/verifications.ts';
import type { Session } from '../../targets/target.ts';
import { recordExceptions } from '../exceptions/record.ts';
import { compareWithTransform, type Derivation, findSurplus, idOf } from './compare.ts';
import { differsException } from './differs.ts';
import { atOneMoment, atPresent, excuse, type JudgedFinding } from './look.ts';
import { countKnown, isSettled, type Verifying } from './scan.ts';

const SUSPECTS = 1_000;
/** A row that differs in so many looks, each time in another way, differs. */
const MOST_LOOKS = 8;
const LONGEST_PAUSE_MS = 10_000;

/** What a later look has made of a suspect. */
type Verdict =
  | { kind: 'passed' | 'known' | 'waiting' | 'differs' }
  | { kind: 'again'; state: string; afterMs: number };
type Judged = { suspect: Suspect; finding: JudgedFinding | undefined; verdict: Verdict };

/**
 * Looks again at what was found differing: what was a write under way is over by now. A row counts as differing when it does
 * so at two looks and has not changed in between, or at every look of many.
 * @param listed how many differing rows are still to be recorded as exceptions, where they are not repaired.
 * @returns how many suspects were due.
 */
export async function judgeSuspects(verifying: Verifying, listed: number): Promise<number> {
  const { held, job, derivation, id, leaseMs } = verifying;
  const due = await atPresent(held, async (session) => {
    await session.query(LOOK_UP_BY_KEY);
    return takeDueSuspects(session, id, SUSPECTS, leaseMs);
  });
  if (due.length === 0) return 0;
  const findings = await atOneMoment(held, derivation, async (session, derivation) => {
    const compared = await compareAgain(session, derivation, due, job.phase.onDrift === 'fail');
    return (await excuse(session, job, derivation, compared)).findings;
  });
  const found = new Map(findings.map((finding) => [nameOf(finding), finding]));
  const judged = due.map((suspect): Judged => {
    const finding = found.get(nameOf(suspect));
    return { suspect, finding, verdict: judge(suspect, finding, verifying) };
  });
  await store(verifying, judged, listed);
  return due.length;
}

async function compareAgain(
  session: Session,
  derivation: Derivation,
  due: readonly Suspect[],
  detailed: boolean,
) {
  const keysOf = (surplus: boolean) => due.filter((one) => one.surplus === surplus).map(({ key }) => key);
  const compared = await compareWithTransform(session, derivation, { keys: keysOf(false) }, detailed);
  const surplus = await findSurplus(session, derivation, { keys: keysOf(true) });
  return { ...compared, findings: [...compared.findings, ...surplus] };
}

/** A row and a copy without one may have the same key. */
function nameOf({ key, surplus = false }: { key: Suspect['key']; surplus?: boolean | undefined }): string {
  return `${surplus} ${idOf(key)}`;
}

function judge(
  suspect: Suspect,
  finding: JudgedFinding | undefined,
  { settleMs, capturedMs }: Pick<Verifying, 'settleMs' | 'capturedMs'>,
): Verdict {
  if (!finding) return { kind: 'passed' };
  if (isSettled(finding)) return { kind: 'known' };
  const { state, excuse } = finding;
  const again = { kind: 'again', state, afterMs: pauseBefore(suspect.looks + 1, settleMs) } as const;
  if (excuse === 'captured') return suspect.ageMs > capturedMs ? { kind: 'waiting' } : again;
  return state === suspect.state || suspect.looks >= MOST_LOOKS ? { kind: 'differs' } : again;
}

function pauseBefore(look: number, settleMs: number): number {
  return Math.min(settleMs * 2 ** (look - 1), LONGEST_PAUSE_MS);
}

/** What another lane has dealt with in the meantime stays as that lane has left it. */
async function store(verifying: Verifying, judged: readonly Judged[], listed: number): Promise<void> {
  const { held, job, id } = verifying;
  const repairs = job.phase.onDrift === 'repair';
  const open: (Suspect & { afterMs: number })[] = [];
  const toRepair: Suspect[] = [];
  const over: Judged[] = [];
  for (const one of judged) {
    const { suspect, verdict } = one;
    if (verdict.kind === 'again') open.push({ ...suspect, state: verdict.state, afterMs: verdict.afterMs });
    else if (verdict.kind === 'differs' && repairs && !suspect.surplus) toRepair.push(suspect);
    else over.push(one);
  }
  await atPresent(held, async (session) => {
    await session.query(LOOK_UP_BY_KEY);
    await postponeSuspects(session, id, open);
    await confirmSuspects(session, id, toRepair);
    const asked = over.map(({ suspect }) => suspect);
    const names = new Set((await settleSuspects(session, id, asked)).map(nameOf));
    const settled = over.filter(({ suspect }) => names.has(nameOf(suspect)));
    await addSettled(session, id, await settle(session, verifying, settled, listed));
  });
}

/** Records what differs and is not repaired; counts all of it. */
async function settle(
  session: Session,
  { job, derivation }: Verifying,
  judged: readonly Judged[],
  listed: number,
): Promise<Partial<Settled>> {
  const rows = judged.filter(({ suspect }) => !suspect.surplus);
  const of = (kind: Verdict['kind']) => rows.filter(({ verdict }) => verdict.kind === kind);
  const findings = of('differs').flatMap(({ finding }) => finding ?? []);
  const underivable = findings.flatMap(({ exception }) => exception ?? []);
  const differing = findings.filter(({ exception }) => exception === undefined);
  const recorded = differing.slice(0, listed).map((finding) => differsException(derivation.context, finding));
  const writer = { runId: job.runId, phase: job.backfill.name };
  const exceptions = [...underivable, ...recorded];
  await recordExceptions(session, derivation.context, writer, exceptions, { counted: false });
  const known = countKnown(of('known').flatMap(({ finding }) => finding ?? []));
  const ambiguous = underivable.filter(({ kind }) => kind === 'ambiguous').length;
  const newlyFailed = underivable.length - ambiguous;
  const surplus = judged.filter(
    ({ suspect, verdict }) => suspect.surplus && verdict.kind === 'differs',
  ).length;
  return {
    passed: of('passed').length,
    skipped: known.skipped,
    waiting: of('waiting').length,
    differing: differing.length,
    ambiguous: known.ambiguous + ambiguous,
    failed: known.failed + newlyFailed,
    newlyFailed,
    surplus,
    surplusGone: judged.length - rows.length - surplus,
  };
}
