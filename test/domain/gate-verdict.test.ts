import { describe, expect, it } from 'vitest';
import { allowsAdvance, judge, type Measurement, NO_MEASUREMENTS } from '../../src/domain/gate-verdict.ts';
import type { Gate } from '../../src/domain/plan.ts';

const gate: Gate = {
  name: 'errors',
  sql: 'SELECT 1',
  op: '<',
  threshold: 1,
  unit: '%',
  window: '15m',
  interval: '5m',
  failureLimit: 0,
  errorLimit: 1,
  noData: 'hold',
};
const value = (number: number): Measurement => ({ kind: 'value', value: number });
const error: Measurement = { kind: 'error', message: 'relation "telemetry" does not exist' };

function judgeAll(over: Partial<Gate>, ...measurements: Measurement[]) {
  return measurements.reduce(
    (history, measurement) => judge({ ...gate, ...over }, history, measurement),
    NO_MEASUREMENTS,
  );
}

describe('gate verdicts', () => {
  it('passes a value within the threshold and tells both', () => {
    expect(judgeAll({}, value(0.25)).last).toEqual({
      verdict: 'pass',
      value: 0.25,
      reason: '0.25%, wanted < 1%',
    });
  });

  it('breaches at once without a failure limit', () => {
    expect(judgeAll({}, value(4.875)).last?.verdict).toBe('breach');
  });

  it('tolerates as many failures in a row as the limit says, and breaches on the next', () => {
    expect(judgeAll({ failureLimit: 2 }, value(2), value(2)).last).toMatchObject({ verdict: 'fail' });
    expect(judgeAll({ failureLimit: 2 }, value(2), value(2), value(2)).last).toMatchObject({
      verdict: 'breach',
    });
  });

  it('starts counting anew after a pass', () => {
    expect(judgeAll({ failureLimit: 1 }, value(2), value(0), value(2)).last?.verdict).toBe('fail');
  });

  it('holds, and never passes, when there is nothing to measure', () => {
    const history = judgeAll({}, { kind: 'no-data' });
    expect(history.last?.verdict).toBe('hold');
    expect(allowsAdvance(history)).toBe(false);
  });

  it('breaches without data when the plan says so', () => {
    expect(judgeAll({ noData: 'breach' }, { kind: 'no-data' }).last?.verdict).toBe('breach');
  });

  it('holds on errors, and treats too many in a row as no data', () => {
    expect(judgeAll({ noData: 'breach' }, error).last?.verdict).toBe('hold');
    expect(judgeAll({ noData: 'breach' }, error, error).last).toMatchObject({
      verdict: 'breach',
      reason: '2 measurements in a row failed: relation "telemetry" does not exist',
    });
    expect(judgeAll({}, error, error, error).last?.verdict).toBe('hold');
  });

  it('lets nobody advance before the first measurement, nor after a failure', () => {
    expect(allowsAdvance(NO_MEASUREMENTS)).toBe(false);
    expect(allowsAdvance(judgeAll({ failureLimit: 5 }, value(0), value(2)))).toBe(false);
    expect(allowsAdvance(judgeAll({ failureLimit: 5 }, value(2), value(0)))).toBe(true);
  });
});
