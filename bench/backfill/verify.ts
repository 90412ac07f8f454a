import type { VerifyPhase } from '../../src/domain/plan.ts';
import { runSlice } from '../../src/engine/backfill/slice.ts';
import { TransformRegistry } from '../../src/engine/transform/transform.ts';
import { verifySlice } from '../../src/engine/verify/slice.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import { createPostgresTarget } from '../../src/targets/postgres/connection.ts';
import type { Target } from '../../src/targets/target.ts';
import { type BenchRow, median, row } from '../support/report.ts';
import { migrate } from './transform.ts';
import { EXPRESSION, phaseOf, planOf, seconds, type Workload } from './workload.ts';

type Over = Parameters<typeof phaseOf>[0];
const registered = { kind: 'registered', name: 'bench', version: 1 } as const;

/** How fast a backfill that has just ended is verified, against one scan of the table that computes the same expression. */
export async function benchVerify(
  workload: Workload,
  repeat: number,
  say: (line: string) => void,
): Promise<BenchRow[]> {
  await workload.reset();
  const target = createPostgresTarget({ name: 'app', url: workload.url, poolSize: 8 });
  try {
    await runSlice(target, jobOf({}));
    // As they are soon after a backfill: autovacuum, which is off here, has come by.
    await workload.client.query('VACUUM (ANALYZE) items');
    const forms: Record<string, () => Promise<void>> = {
      scan: () => scan(workload),
      verify1: () => verify(target, workload, 1, {}),
      verify2: () => verify(target, workload, 2, {}),
      typescript1: () => verify(target, workload, 1, { transform: registered }),
      typescript2: () => verify(target, workload, 2, { transform: registered }),
    };
    const rates = Object.fromEntries(Object.keys(forms).map((name): [string, number[]] => [name, []]));
    for (let round = 0; round <= repeat; round += 1) {
      for (const [name, form] of Object.entries(forms)) {
        const rate = workload.rows / (await seconds(form));
        // The first round reads the table from disk, and sets what later ones find set.
        if (round > 0) rates[name]?.push(rate);
        say(`round ${round}, verification, ${name}: ${Math.round(rate)} rows/s`);
      }
    }
    const rate = (name: string) => median(rates[name] ?? []);
    const against = (text: string, name: string, goal?: string) =>
      row(text, rate(name), 'rows/s', { ratio: rate(name) / rate('scan'), ...(goal ? { goal } : {}) });
    return [
      row('one sequential scan that computes the expression and compares', rate('scan'), 'rows/s'),
      against('verify, 1 connection, against that scan', 'verify1', '>= 0.5'),
      against('verify, 2 connections, against that scan', 'verify2'),
      against('verify, TypeScript, 1 connection, against that scan', 'typescript1'),
      against('verify, TypeScript, 2 connections, against that scan', 'typescript2'),
    ];
  } finally {
    await target.close();
  }
}

/** On one connection, without parallel workers, as each lane of a verification has no more. */
async function scan({ client }: Workload): Promise<void> {
  await client.query('SET max_parallel_workers_per_gather = 0');
  const { rows } = await client.query(
    `SELECT count(*)::int AS wrong FROM items WHERE migrated IS DISTINCT FROM ${EXPRESSION}`,
  );
  await client.query('RESET max_parallel_workers_per_gather');
  if (rows[0].wrong > 0) throw new Error(`${rows[0].wrong} rows are not as they should be`);
}

let attempts = 0;

async function verify(target: Target, { rows }: Workload, lanes: number, over: Over): Promise<void> {
  const { runId, phase: backfill, transforms } = jobOf(over);
  attempts += 1;
  const job = { runId, backfill, transforms, phase: verifyPhase, syncs: [], attempt: String(attempts) };
  const work = (lane: number) =>
    verifySlice(target, job, { claimant: { lane: `lane-${lane}`, since: Date.now() } });
  const results = await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
  for (const { counts } of results) {
    if (counts.checked !== rows || counts.equal !== rows) throw new Error(JSON.stringify(counts));
  }
}

function jobOf(over: Over) {
  return { runId: 'bench', phase: phaseOf(over), transforms: new TransformRegistry([migrate]) };
}

const verifyPhase = parsePlan({
  ...planOf(),
  phases: [...planOf().phases, { kind: 'verify', name: 'check', backfill: 'fill' }],
}).phases[1] as VerifyPhase;
