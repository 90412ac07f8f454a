import { afterEach, describe, expect, test } from 'vitest';
import { type Child, startProcess } from '../cli/support/process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const TIMEOUT = 180_000;
/** Shorter holds than the demo's own, to keep the tests short. */
const FAST = ['--time-scale', '100000'];

const directories: { remove(): void }[] = [];
let child: Child | undefined;

afterEach(async () => {
  child?.stop();
  await child?.ended;
  for (const directory of directories.splice(0)) directory.remove();
});

/** Runs `npm run demo` in a fresh directory to its end. */
async function demo(...args: string[]): Promise<{ code: number | NodeJS.Signals; output: string }> {
  const directory = temporaryDirectory();
  directories.push(directory);
  child = startProcess('npm', ['run', 'demo', '--', '--dir', directory.path, '--exit', ...FAST, ...args]);
  const code = await child.ended;
  return { code, output: child.output() };
}

/** The cells of the result table's row of a plan, without the run's id. */
function resultOf(output: string, plan: string): string[] {
  const row = output
    .split('\n')
    .find((line) => new RegExp(`^${plan}-\\S+ {2,}\\S`).test(line) && / {2}\d[\d,]* {2}/.test(line));
  return row?.trim().split(/ {2,}/).slice(1, -1) ?? [];
}

describe('npm run demo', () => {
  test('runs both plans to the end and proves it in its table', { timeout: TIMEOUT }, async () => {
    const { code, output } = await demo();
    expect(resultOf(output, 'campaigns-v2'), output).toEqual([
      'completed',
      ...['7', '3', '0', '4', '0', '4 of 4', 'no breach'],
    ]);
    expect(resultOf(output, 'canonical-events')).toEqual([
      'completed',
      ...['1,005', '1,005', '0', '0', '0', '4 of 4', 'no breach'],
    ]);
    expect(output).toContain('multi_integration_campaigns removed by the cleanup');
    expect(output).toMatch(/✓ migrated-of-total +total 3; migrated 3/);
    expect(output).toMatch(/✓ recent-without-canonical +0, wanted = 0/);
    expect(output).toContain('4 rows set aside for a person');
    expect(output).toContain('the campaign has neither data_source nor native_config');
    expect(output).toMatch(
      /The demo approves "approval" of campaigns-v2-\w+, as the holder of the approver's token/,
    );
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/campaigns-v2-/);
    expect(code).toBe(0);
  });

  test('with --fail-at 50 shows an automatic rollback and fails', { timeout: TIMEOUT }, async () => {
    const { code, output } = await demo('--fail-at', '50');
    for (const [plan, rows] of [
      ['campaigns-v2', '3'],
      ['canonical-events', '1005'],
    ] as const) {
      expect(resultOf(output, plan)[0], output).toBe('rolled back');
      expect(resultOf(output, plan).at(-1)).toMatch(/breached$/);
      expect(output).toContain(`${rows} rows restored`);
    }
    expect(output).toMatch(/why +"rollout": gate "[\w-]+" breached at 50 %: [\d.]+%, wanted [<>] [\d.]+%/);
    expect(output).toContain('v2_canonical_system at 0 %, disabled');
    expect(output).toContain('multi_integration_campaigns at 0 %, disabled');
    expect(output).toMatch(
      /undone, in this order\n +rollout .*\n +backfill .*\n +backup +dropped \w+\n +add-column /,
    );
    expect(code).toBe(1);
  });
});
