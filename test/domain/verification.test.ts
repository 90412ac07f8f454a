import { describe, expect, it } from 'vitest';
import {
  asRowCounts,
  driftInWords,
  type VerifyCounts,
  verifiedInWords,
} from '../../src/domain/verification.ts';

const NONE: VerifyCounts = {
  checked: 0,
  equal: 0,
  skipped: 0,
  waiting: 0,
  repaired: 0,
  differing: 0,
  ambiguous: 0,
  failed: 0,
  pending: 0,
  newlyFailed: 0,
  surplus: 0,
};
const ALL: VerifyCounts = {
  checked: 36,
  equal: 1,
  skipped: 2,
  waiting: 3,
  repaired: 4,
  differing: 5,
  ambiguous: 6,
  failed: 7,
  pending: 8,
  newlyFailed: 1,
  surplus: 9,
};

describe('what a verification has found', () => {
  it('adds up in the words of a backfill', () => {
    const { processed, ...outcomes } = asRowCounts(ALL);
    expect(processed).toBe(36);
    expect(Object.values(outcomes).reduce((sum, rows) => sum + rows, 0)).toBe(36);
    expect(outcomes).toEqual({ migrated: 5, skipped: 5, ambiguous: 6, failed: 20 });
  });

  it('is told with what there is, and no more', () => {
    expect(verifiedInWords({ ...NONE, checked: 1, equal: 1 })).toBe('1 row: 1 equal');
    expect(verifiedInWords(ALL)).toBe(
      '36 rows: 1 equal, 4 repaired, 5 differing, 2 skipped, 6 ambiguous, 7 failed, 3 waiting for the sync, ' +
        '8 to be looked at again; 9 copies without a row',
    );
  });

  it('fails only with rows that differ', () => {
    expect(driftInWords({ ...ALL, differing: 0 })).toBeUndefined();
    expect(driftInWords({ ...NONE, checked: 7, differing: 1 })).toBe(
      '1 of 7 rows differs from what the transform makes of them',
    );
    expect(driftInWords({ ...NONE, checked: 7, differing: 2 })).toMatch(/^2 of 7 rows differ from/);
  });
});
