import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../src/api/schemas/events.ts';
import type { Phase, RunDetail } from '../../src/api/schemas/runs.ts';
import { holdOf } from '../../src/cli/hold.ts';
import { dryRunLines } from '../../src/cli/output/dry-run.ts';
import { EventLines } from '../../src/cli/output/event-lines.ts';
import { LiveArea } from '../../src/cli/output/live-area.ts';
import { runLines } from '../../src/cli/output/run-view.ts';
import { clip, createStyle, textWidth } from '../../src/cli/output/style.ts';
import { table } from '../../src/cli/output/table.ts';
import { type RunView, readEvent } from '../../src/cli/run-view.ts';
import { parsePlan } from '../../src/plan/parse.ts';

const plain = createStyle(false);
const coloured = createStyle(true);
const START = Date.parse('2025-11-20T10:00:00Z');
const at = (seconds: number) => new Date(START + seconds * 1_000).toISOString();

test('a table aligns its columns, whatever colours its cells have', () => {
  const columns = [{ title: 'run' }, { title: 'rows', align: 'right' as const }, { title: 'by' }];
  const rows = (green: (text: string) => string) => [
    [green('a'), '1,005', 'ana'],
    ['longer', '7', ''],
  ];
  expect(table(plain, columns, rows(plain.green))).toEqual([
    'run      rows  by',
    'a       1,005  ana',
    'longer      7',
  ]);
  const widths = table(coloured, columns, rows(coloured.green)).map(textWidth);
  expect(widths).toEqual([17, 18, 13]);
});

test('a dry run lists what would be lost, refused and emptied', () => {
  const report = {
    phases: [
      {
        name: 'fill',
        kind: 'backfill',
        summary: 'would migrate 10 of 12 rows',
        details: {
          violations: [{ constraint: 'cheap', kind: 'check', rows: 2, keys: [['7'], ['9']] }],
          lossy: [
            {
              column: 'total',
              loss: 'rounded',
              rows: 1,
              samples: [{ key: ['3', 'a'], from: '1.234', to: '1.23' }],
            },
          ],
          nulls: [{ column: 'note', rows: 3, keys: [['1']] }],
        },
      },
    ],
  };
  const lines = dryRunLines(plain, report);
  expect(lines.slice(lines.indexOf('fill: findings'))).toEqual([
    'fill: findings',
    '  2 rows would fail by check "cheap", as in 7; 9',
    '  1 value of "total" would be rounded',
    '    3, a: 1.234 → 1.23',
    '  "note" would become NULL in 3 rows, as in 1',
    '',
    'Nothing was written. `--json` has samples of rows before and after.',
  ]);
});

describe('clip', () => {
  test('leaves a text that fits, and ends a longer one with an ellipsis', () => {
    expect(clip('seventeen columns', 17)).toBe('seventeen columns');
    expect(clip('seventeen columns', 10)).toBe('seventeen…');
  });

  test('counts no colours and ends those that it cut', () => {
    const text = `${coloured.red('abcdef')}${coloured.green('ghi')}`;
    expect(clip(text, 9)).toBe(text);
    expect(clip(text, 4)).toBe('\u001b[31mabc…\u001b[39m\u001b[32m\u001b[39m');
  });
});

test('a live area draws over what it drew before, cut to the terminal', () => {
  let written = '';
  const area = new LiveArea({
    columns: 6,
    rows: 3,
    write: (chunk: string | Uint8Array) => {
      written += chunk;
      return true;
    },
  });
  area.draw(['one', 'a long line', 'below the edge']);
  expect(written).toBe('one\u001b[K\na lon…\u001b[K\n\u001b[J');
  written = '';
  area.draw(['two']);
  expect(written).toBe('\u001b[2A\rtwo\u001b[K\n\u001b[J');
});

describe('lines of events', () => {
  let id = 0;
  const event = (type: string, seconds: number, data: Record<string, unknown> = {}): RunEvent => {
    id += 1;
    return { id, type, at: at(seconds), phase: 'backfill', message: `${type} ${seconds}`, data };
  };

  test('tell progress once in five seconds', () => {
    const lines = new EventLines(plain);
    const told = [0, 1, 4.9, 5, 6, 9, 10].filter((second) => lines.line(event('progress', second)));
    expect(told).toEqual([5, 10]);
  });

  test('tell of a gate when its verdict changes, for each stage anew', () => {
    const lines = new EventLines(plain);
    const gate = (percentage: number, verdict: string) =>
      lines.line(event('gate', 0, { gate: 'error-rate', percentage, verdict })) !== undefined;
    expect(gate(10, 'pass')).toBe(true);
    expect(gate(10, 'pass')).toBe(false);
    expect(gate(50, 'pass')).toBe(true);
    expect(gate(50, 'breach')).toBe(true);
  });

  test('tell of a command once, though the change of state that it leads to says the same', () => {
    const lines = new EventLines(plain);
    const told = (type: string, message: string, data = {}) =>
      lines.line({ ...event(type, 0, data), message, phase: null });
    expect(told('command', 'pause by ana')).toBe('10:00:00  pause by ana');
    expect(told('run', 'pause by ana', { status: 'paused' })).toBeUndefined();
    expect(told('command', 'resume by ana')).toBe('10:00:00  resume by ana');
  });

  test('tell how the run ended, and why', () => {
    const lines = new EventLines(plain);
    const told = (message: string, status: string) =>
      lines.line({ ...event('run', 0, { status }), message, phase: null });
    expect(told('rollback by ana', 'rolled_back')).toBe('10:00:00  rolled back: rollback by ana');
    expect(told('completed', 'completed')).toBe('10:00:00  completed');
  });

  test('name the run when there are several', () => {
    expect(new EventLines(plain).line(event('note', 61), 'orders  ')).toBe(
      '10:01:01  orders  backfill: note 61',
    );
  });
});

const PLAN = parsePlan({
  name: 'orders',
  target: 'app',
  phases: [
    { kind: 'backfill', name: 'backfill', table: 'orders', transform: { kind: 'sql', set: { a: '1' } } },
    {
      kind: 'rollout',
      name: 'rollout',
      flag: { name: 'new_orders' },
      stages: [
        { percentage: 10, hold: '1h' },
        { percentage: 100, hold: '3h' },
      ],
    },
    { kind: 'soak', name: 'soak', flag: { name: 'new_orders' }, for: '10h' },
  ],
});

function phase(name: string, kind: string, state: Phase['state'], more: Partial<Phase> = {}): Phase {
  const done = state === 'completed';
  return {
    name,
    kind,
    state,
    description: '',
    pointOfNoReturn: false,
    summary: null,
    progress: null,
    startedAt: state === 'pending' ? null : at(0),
    finishedAt: done ? at(2) : null,
    ...more,
  };
}

function runWith(phases: Phase[], more: Partial<RunDetail> = {}): RunDetail {
  return {
    id: 'orders-1',
    plan: 'orders',
    version: 1,
    planHash: '',
    target: 'app',
    status: 'running',
    phase: 'backfill',
    reason: null,
    timeScale: 3_600,
    batchSize: null,
    startedBy: 'ana',
    createdAt: at(0),
    updatedAt: at(0),
    finishedAt: null,
    waitingFor: null,
    commands: [],
    phases,
    gates: [],
    links: { self: '', events: '', report: '', exceptions: '', webUi: 'http://ui/orders-1' },
    ...more,
  };
}

describe('a run at a glance', () => {
  test('shows the bar, the rate and the time to go of a backfill', () => {
    const counts = { processed: 500, migrated: 500, skipped: 0, ambiguous: 0, failed: 0 };
    const progress = {
      counts,
      estimatedRows: 2_000,
      rowsPerSecond: 410,
      share: 0.25,
      eta: { low: at(95), high: at(125) },
      limiter: null,
      closed: null,
      signals: [],
    };
    const run = runWith([
      phase('backfill', 'backfill', 'running', { progress }),
      phase('soak', 'soak', 'pending'),
    ]);
    expect(runLines(plain, { run }, false, START + 5_000)).toEqual([
      'orders-1  running  5.0s',
      'http://ui/orders-1',
      '',
      '  ● backfill  ━━━━━───────────────    5.0s  500 of 2,000 rows · 410 rows/s · 1m 30s to 2m to go',
      '  · soak      soak',
    ]);
  });

  test('shows no share of an estimate that the count has passed', () => {
    const counts = { processed: 500, migrated: 500, skipped: 0, ambiguous: 0, failed: 0 };
    const progress = {
      ...{ counts, estimatedRows: 500, rowsPerSecond: 410, share: 1 },
      ...{ eta: null, limiter: null, closed: null, signals: [] },
    };
    const run = runWith([phase('backfill', 'backfill', 'running', { progress })]);
    const line = runLines(plain, { run }, false, START + 5_000)[3];
    expect(line).toBe('  ● backfill  ────────────────────    5.0s  500 rows · 410 rows/s');
  });

  test('shows how far the undo of a backfill is, and what the undo of the others came to', () => {
    const counts = { processed: 1_500, migrated: 1_498, skipped: 2, ambiguous: 0, failed: 0 };
    const progress = {
      ...{ counts, estimatedRows: 2_000, rowsPerSecond: 410, share: 0.75 },
      ...{ eta: { low: at(6), high: at(7) }, limiter: null, closed: null, signals: [] },
    };
    const run = runWith(
      [
        phase('expand', 'schema', 'undoing'),
        phase('backfill', 'backfill', 'undoing', { progress }),
        phase('rollout', 'rollout', 'undone', { summary: 'new_orders set to 0 % and disabled' }),
      ],
      { status: 'rolling_back' },
    );
    expect(runLines(plain, { run }, false, START + 5_000).slice(3)).toEqual([
      `  ↶ expand    ${' '.repeat(20)}    5.0s  undoing`,
      '  ↶ backfill  ━━━━━━━━━━━━━━━─────    5.0s  restoring 1,500 of 2,000 rows · 410 rows/s · 1.0s to 2.0s to go',
      `  ↶ rollout   ${' '.repeat(20)}    5.0s  new_orders set to 0 % and disabled`,
    ]);
  });

  test('shows what holds a backfill back and each signal that is watched, in short the former only', () => {
    const counts = { processed: 500, migrated: 500, skipped: 0, ambiguous: 0, failed: 0 };
    const why = '1 of 4 connections: 5 sessions wait for locks on the table, limit 4';
    const signal = { mode: 'steer', value: 5, limit: 4 } as const;
    const progress = {
      counts,
      estimatedRows: 2_000,
      rowsPerSecond: 410,
      share: 0.25,
      eta: null,
      limiter: { signal: 'lock-waiters', effect: 'slowed', why } as const,
      closed: null,
      signals: [
        { ...signal, signal: 'lock-waiters', zone: 'over', reason: '5 sessions wait, limit 4' } as const,
        { ...signal, signal: 'app-p99', zone: 'easy', reason: 'app-p99 5 ms, limit 100 ms' } as const,
      ],
    };
    const run = runWith([phase('backfill', 'backfill', 'running', { progress })]);
    expect(runLines(plain, { run }, false, START).slice(4)).toEqual([
      `      ${why}`,
      '      lock-waiters  over     5 sessions wait, limit 4',
      '      app-p99       easy     app-p99 5 ms, limit 100 ms',
    ]);
    expect(runLines(plain, { run }, true, START).slice(3)).toEqual([`      ${why}`]);
  });

  test('shows the flag, the rest of the hold and each gate of a rollout', () => {
    const gate = { phase: 'rollout', percentage: 10, sequence: 1, at: at(1) };
    const run = runWith([phase('rollout', 'rollout', 'running')], {
      gates: [
        { ...gate, gate: 'errors', value: 0.4, verdict: 'pass', reason: '0.4%, wanted < 1%' },
        { ...gate, gate: 'p95', value: null, verdict: 'hold', reason: 'nothing to measure yet' },
      ],
    });
    const flag = { flag: 'new_orders', percentage: 10, enabled: true, since: START };
    expect(runLines(plain, { run, plan: PLAN, flag }, false, START + 500).slice(3)).toEqual([
      '  ● rollout  ━━━─────────────────   500ms  new_orders at 10 % · 500ms to go',
      '      errors  pass    0.4%, wanted < 1%',
      '      p95     hold    nothing to measure yet',
    ]);
  });

  test('says what it waits for and why it ended, and in short leaves out what is over', () => {
    const phases = [
      phase('backfill', 'backfill', 'undone', { summary: '3 rows restored' }),
      phase('rollout', 'rollout', 'failed', { summary: 'gate breached' }),
      phase('soak', 'soak', 'pending'),
    ];
    const ended = runWith(phases, { status: 'rolled_back', reason: 'gate "errors" breached' });
    expect(runLines(plain, { run: ended }, true)).toEqual([
      expect.stringContaining('orders-1  rolled back'),
      'http://ui/orders-1',
      'gate "errors" breached',
      '  ✓ backfill',
      expect.stringMatching(/^ {2}✗ rollout .*gate breached$/),
    ]);
    const waiting = runWith(phases, { status: 'awaiting_approval', waitingFor: 'an approval by approver' });
    expect(runLines(plain, { run: waiting })).toContain('waits for an approval by approver');
  });

  test('takes the flag and the results of validation from events', () => {
    const view: Omit<RunView, 'run'> = {};
    const event = { id: 1, at: at(3), phase: 'rollout', message: '' };
    readEvent(view, { ...event, type: 'flag', data: { flag: 'f', percentage: 50, enabled: true } });
    readEvent(view, { ...event, type: 'validation', data: { queries: [{ name: 'q', passed: true }] } });
    expect(view.flag).toEqual({ flag: 'f', percentage: 50, enabled: true, since: START + 3_000 });
    expect(view.validation).toEqual([{ name: 'q', passed: true }]);
  });
});

describe('a hold', () => {
  const view = (percentage: number): RunView => ({
    run: runWith([]),
    plan: PLAN,
    flag: { flag: 'new_orders', percentage, enabled: true, since: START },
  });

  test('lasts as its stage says, shortened by the time scale, and is a part of the whole rollout', () => {
    expect(holdOf({ name: 'rollout' }, view(100), START + 1_500)).toEqual({ share: 0.625, leftMs: 1_500 });
    expect(holdOf({ name: 'rollout' }, view(10), START + 1_500)).toEqual({ share: 0.25, leftMs: -500 });
  });

  test('of a soak counts from when the flag reached 100 %', () => {
    expect(holdOf({ name: 'soak' }, view(100), START + 4_000)).toEqual({ share: 0.4, leftMs: 6_000 });
  });

  test('is not known without the flag or the plan, nor for phases that hold nothing', () => {
    expect(holdOf({ name: 'backfill' }, view(10), START)).toBeUndefined();
    expect(holdOf({ name: 'rollout' }, { run: runWith([]), plan: PLAN }, START)).toBeUndefined();
  });
});
