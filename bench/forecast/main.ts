import { startPostgres } from '../../src/dev/postgres.ts';
import { type BenchRow, row } from '../support/report.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type Compared, compare } from './compare.ts';
import { SHAPES } from './shapes.ts';

const UNITS = { seconds: 'µs/row', walBytes: 'B/row', diskBytes: 'B/row' };
const NAMES = { seconds: 'time', walBytes: 'WAL', diskBytes: 'disk' };

/** What backfills of tables of several shapes took, against the middle of what was forecast; each of them within its range. */
export async function benchForecast({
  rows,
  say,
}: {
  rows: number;
  say: (line: string) => void;
}): Promise<BenchRow[]> {
  const directory = temporaryDirectory();
  const server = await startPostgres({ dir: directory.path, say });
  try {
    const figures: BenchRow[] = [];
    for (const shape of SHAPES) {
      for (const undo of ['none', 'journal'] as const) {
        say(`${shape.name}, ${undo === 'journal' ? 'journal' : 'no journal'}`);
        figures.push(...figuresOf(shape.name, undo, await compare(server.url, shape, { rows, undo })));
      }
    }
    return figures;
  } finally {
    await server.stop();
    directory.remove();
  }
}

function figuresOf(name: string, undo: string, compared: Compared): BenchRow[] {
  return (['seconds', 'walBytes', 'diskBytes'] as const).map((what) => {
    const { forecast, real } = compared[what];
    const perRow = (real / compared.rows) * (what === 'seconds' ? 1e6 : 1);
    const middle = Math.sqrt(Math.max(forecast.low, 1e-9) * forecast.high);
    const figure = row(
      `${name}${undo === 'journal' ? ', journal' : ''}: ${NAMES[what]}`,
      perRow,
      UNITS[what],
      {
        ratio: real / middle,
      },
    );
    return { ...figure, goal: 'in range', met: real >= forecast.low && real <= forecast.high };
  });
}
