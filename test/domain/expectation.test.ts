import { describe, expect, it } from 'vitest';
import { meetsExpectation } from '../../src/domain/expectation.ts';

describe('expectations of validation queries', () => {
  it('no-rows passes only on an empty result', () => {
    expect(meetsExpectation({ kind: 'no-rows' }, [])).toEqual({
      passed: true,
      found: 'no rows, wanted none',
    });
    expect(meetsExpectation({ kind: 'no-rows' }, [{ id: 1 }])).toEqual({
      passed: false,
      found: '1 row, wanted none',
    });
  });

  it('values compares the first row, counts as text included', () => {
    const expectation = { kind: 'values', values: { total: 3, migrated: 3 } } as const;
    expect(meetsExpectation(expectation, [{ total: '3', migrated: '3' }]).passed).toBe(true);
    expect(meetsExpectation(expectation, [{ total: '3', migrated: '1' }])).toEqual({
      passed: false,
      found: 'total 3; migrated 1, wanted 3',
    });
    expect(meetsExpectation(expectation, [{ total: '3' }]).found).toContain('no column migrated');
    expect(meetsExpectation(expectation, []).passed).toBe(false);
  });

  it('an empty text is no zero', () => {
    expect(meetsExpectation({ kind: 'values', values: { n: 0 } }, [{ n: '' }]).passed).toBe(false);
    expect(meetsExpectation({ kind: 'compare', op: '=', value: 0 }, [{ n: '' }]).passed).toBe(false);
  });

  it('compare takes the first column of the first row', () => {
    const expectation = { kind: 'compare', op: '>=', value: 99.5 } as const;
    expect(meetsExpectation(expectation, [{ share: '99.70' }])).toEqual({
      passed: true,
      found: '99.7, wanted >= 99.5',
    });
    expect(meetsExpectation(expectation, [{ share: 12 }]).passed).toBe(false);
    expect(meetsExpectation(expectation, [{ share: null }]).passed).toBe(false);
  });

  it('informational passes whatever comes', () => {
    expect(meetsExpectation({ kind: 'informational' }, [{ a: 1 }, { a: 2 }])).toEqual({
      passed: true,
      found: '2 rows',
    });
  });
});
