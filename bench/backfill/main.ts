import { join } from 'node:path';
import { startPostgres } from '../../src/dev/postgres.ts';
import { type BenchRow, median, row } from '../support/report.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { bareLoop, engine, type Form, rowsPerSecond, singleStatement } from './forms.ts';
import { Workload } from './workload.ts';

export type BackfillOptions = { rows: number; repeat: number; say: (line: string) => void };

/** Enough memory and WAL that the disk's own rhythm does not decide; durable as in production. */
const SETTINGS = {
  shared_buffers: '1GB',
  max_wal_size: '16GB',
  checkpoint_timeout: '30min',
  autovacuum: 'off',
};

const registered = { kind: 'registered', name: 'bench', version: 1 } as const;

/** Each form in turn, round by round, so that a slow moment of the machine hits all alike; ratios of medians. */
export async function benchBackfill({ rows, repeat, say }: BackfillOptions): Promise<BenchRow[]> {
  const directory = temporaryDirectory();
  const postgres = await startPostgres({ dir: join(directory.path, 'postgres'), say, settings: SETTINGS });
  try {
    const workload = new Workload(await postgres.database('bench'), rows);
    await workload.create();
    const forms = {
      single: singleStatement,
      loop: bareLoop,
      sql: engine('engine, SQL, 1 connection'),
      sqlJournal: engine('engine, SQL, with journal', { undo: { kind: 'journal' } }),
      typescript: engine('engine, TypeScript, 1 range', { transform: registered }),
    };
    const measured = await measure(forms, workload, repeat, say);
    await workload.close();
    return [
      row(forms.single.name, measured.single, 'rows/s'),
      row(forms.loop.name, measured.loop, 'rows/s', { ratio: measured.loop / measured.single }),
      row(`${forms.sql.name}, against the single UPDATE`, measured.sql, 'rows/s', {
        ratio: measured.sql / measured.single,
        goal: '>= 0.97',
      }),
      row('journal on, against off', measured.sqlJournal, 'rows/s', {
        ratio: measured.sqlJournal / measured.sql,
        goal: '>= 0.55',
      }),
      row(`${forms.typescript.name}, against the single UPDATE`, measured.typescript, 'rows/s', {
        ratio: measured.typescript / measured.single,
        goal: '>= 0.8',
      }),
    ];
  } finally {
    await postgres.stop();
    directory.remove();
  }
}

async function measure<K extends string>(
  forms: Record<K, Form>,
  workload: Workload,
  repeat: number,
  say: (line: string) => void,
): Promise<Record<K, number>> {
  const names = Object.keys(forms) as K[];
  const figures = new Map<K, number[]>(names.map((name) => [name, []]));
  for (let round = 1; round <= repeat; round += 1) {
    for (const name of names) {
      const rate = await rowsPerSecond(forms[name], workload);
      figures.get(name)?.push(rate);
      say(`round ${round}: ${forms[name].name}: ${Math.round(rate).toLocaleString('en')} rows/s`);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(figures.get(name) ?? [])])) as Record<
    K,
    number
  >;
}
