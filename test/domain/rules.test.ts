import { describe, expect, it } from 'vitest';
import { approvalRefusal } from '../../src/domain/approval.ts';
import { durationMs, formatMs, scaledMs } from '../../src/domain/duration.ts';
import { budgetExceeded } from '../../src/domain/error-budget.ts';
import { roleAtLeast } from '../../src/domain/role.ts';

describe('durations', () => {
  it('reads every unit and refuses everything else', () => {
    expect(['500ms', '30s', '5m', '24h', '7d', '2w'].map(durationMs)).toEqual([
      500, 30_000, 300_000, 86_400_000, 604_800_000, 1_209_600_000,
    ]);
    for (const text of ['', '5', '1 day', '-1s', '1.5h', 's'])
      expect(() => durationMs(text)).toThrow('is not a duration');
  });

  it('shortens holds by the time scale, never to less than a millisecond', () => {
    expect(scaledMs('24h', 86_400)).toBe(1_000);
    expect(scaledMs('1ms', 1_000_000)).toBe(1);
  });

  it('shows the two largest units', () => {
    expect([0, 850, 3_400, 75_000, 86_400_000 + 3_600_000 * 5 + 60_000, 604_800_000].map(formatMs)).toEqual([
      '0ms',
      '850ms',
      '3.4s',
      '1m 15s',
      '1d 5h',
      '1w',
    ]);
  });
});

describe('error budget', () => {
  const counts = (processed: number, failed: number) => ({
    processed,
    migrated: processed - failed,
    skipped: 0,
    ambiguous: 0,
    failed,
  });

  it('is exceeded by the row after the last that it allows', () => {
    expect(budgetExceeded({ rows: 2, share: 1 }, counts(10, 2))).toBeUndefined();
    expect(budgetExceeded({ rows: 2, share: 1 }, counts(10, 3))).toBe(
      '3 rows failed; the error budget allows 2',
    );
  });

  it('judges the share only once 50 rows say something', () => {
    expect(budgetExceeded({ rows: 100, share: 0.1 }, counts(49, 49))).toBeUndefined();
    expect(budgetExceeded({ rows: 100, share: 0.1 }, counts(50, 5))).toBeUndefined();
    expect(budgetExceeded({ rows: 100, share: 0.1 }, counts(50, 6))).toBe(
      '12.00 % of 50 rows failed; the error budget allows 10.00 %',
    );
  });
});

describe('approval rules', () => {
  const phase = { name: 'go-live', roles: ['approver' as const], people: ['dana'], allowStarter: false };

  it('takes approvers by role or by name, once each, and not who started the run', () => {
    expect(approvalRefusal(phase, { name: 'ann', role: 'approver' }, 'bob', [])).toBeUndefined();
    expect(approvalRefusal(phase, { name: 'dana', role: 'operator' }, 'bob', [])).toBeUndefined();
    expect(approvalRefusal(phase, { name: 'carl', role: 'admin' }, 'bob', [])).toContain(
      'carl has role admin',
    );
    expect(approvalRefusal(phase, { name: 'bob', role: 'approver' }, 'bob', [])).toContain(
      "another person's approval",
    );
    expect(approvalRefusal(phase, { name: 'ann', role: 'approver' }, 'bob', ['ann'])).toContain(
      'already approved',
    );
    expect(
      approvalRefusal({ ...phase, allowStarter: true }, { name: 'bob', role: 'approver' }, 'bob', []),
    ).toBeUndefined();
  });
});

describe('roles', () => {
  it('contain those before them', () => {
    expect(roleAtLeast('admin', 'viewer')).toBe(true);
    expect(roleAtLeast('approver', 'operator')).toBe(true);
    expect(roleAtLeast('operator', 'approver')).toBe(false);
  });
});
