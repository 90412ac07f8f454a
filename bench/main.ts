import { parseArgs } from 'node:util';
import { benchBackfill } from './backfill/main.ts';
import { benchFlagsEvaluation } from './flags/evaluation.ts';
import { benchForecast } from './forecast/main.ts';
import { benchStatistics } from './statistics/main.ts';
import { type BenchRow, table } from './support/report.ts';

const USAGE = `npm run bench -- backfill [--rows 2000000] [--repeat 3] [--json]
npm run bench -- forecast [--rows 100000] [--json]
npm run bench -- flags-evaluation [--repeat 3] [--json]
npm run bench -- statistics [--json]

Prints ratios of figures that were measured in one run; the machine's own speed falls out of them.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: 'string' },
    repeat: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const say = (line: string) => process.stderr.write(`${line}\n`);
const suites: Record<string, () => Promise<BenchRow[]>> = {
  backfill: () =>
    benchBackfill({ rows: Number(values.rows ?? 2_000_000), repeat: Number(values.repeat), say }),
  'flags-evaluation': () => benchFlagsEvaluation({ repeat: Number(values.repeat), say }),
  forecast: () => benchForecast({ rows: Number(values.rows ?? 100_000), say }),
  statistics: () => benchStatistics({ say }),
};

const suite = suites[positionals[0] ?? ''];
if (!suite) {
  say(USAGE);
  process.exit(2);
}
const rows = await suite();
process.stdout.write(`${values.json ? JSON.stringify(rows, undefined, 2) : table(rows)}\n`);
