import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../src/domain/gate-verdict.ts';
import { type LoadDecision, type LoadState, steer, UNLIMITED } from '../../src/domain/load-control.ts';
import type { LoadSignal } from '../../src/domain/load-signal.ts';

const WAITERS: LoadSignal = { kind: 'lock-waiters', mode: 'steer', limit: 10 };
const P99: LoadSignal = { kind: 'sql', mode: 'steer', name: 'p99', sql: 'SELECT 1', limit: 200, unit: 'ms' };
const LAG: LoadSignal = { kind: 'replication-lag', mode: 'stop', limit: '10s', replicas: 0 };

const value = (number: number): Measurement => ({ kind: 'value', value: number });

/** Measures once a second and takes each round into account; gives the decision of every second. */
function seconds(
  signal: LoadSignal,
  measurements: readonly Measurement[],
  {
    wanted = 4,
    from = UNLIMITED,
    start = 0,
    missing = 'pauses',
  }: { wanted?: number; from?: LoadState; start?: number; missing?: 'pauses' | 'slows' } = {},
): { state: LoadState; decisions: LoadDecision[]; last: LoadDecision } {
  const decisions: LoadDecision[] = [];
  let state = from;
  measurements.forEach((measured, second) => {
    const steered = steer(state, [{ signal, measured }], { now: (start + second) * 1_000, wanted, missing });
    state = steered.state;
    decisions.push(steered.decision);
  });
  const last = decisions.at(-1);
  if (!last) throw new Error('nothing was measured');
  return { state, decisions, last };
}

const times = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what);

/** Distinct steps in their order, as `connections×scale` or `paused`. */
const steps = (decisions: readonly LoadDecision[]) =>
  decisions
    .map(({ paused, connections, scale }) => (paused ? 'paused' : `${connections ?? 'all'}×${scale}`))
    .filter((step, index, all) => step !== all[index - 1]);

describe('steering', () => {
  it('does nothing while the signal is far below its limit, or in the band below it', () => {
    for (const waiters of [0, 3, 6]) {
      const { last } = seconds(WAITERS, times(60, value(waiters)));
      expect(last).toMatchObject({ connections: null, scale: 1, paused: false, limiter: null });
    }
  });

  it('above the limit takes connections away, then makes batches smaller, then pauses', () => {
    const { decisions } = seconds(WAITERS, times(20, value(11)));
    expect(steps(decisions)).toEqual(['2×1', '1×1', '1×0.25', '1×0.0625', 'paused']);
    expect(decisions.findIndex(({ paused }) => paused)).toBe(8);
  });

  it('near the limit goes down one by one, and never pauses', () => {
    const { decisions } = seconds(WAITERS, times(120, value(9)));
    expect(steps(decisions)).toEqual(
      ['all×1', '3×1', '2×1', '1×1', '1×0.5', '1×0.25', '1×0.125', '1×0.0625'].slice(1),
    );
  });

  it('goes back up the same way once the signal is easy, ten seconds a step', () => {
    const paused = seconds(WAITERS, times(20, value(11)));
    const { decisions } = seconds(WAITERS, times(120, value(0)), { from: paused.state, start: 20 });
    expect(steps(decisions)).toEqual([
      'paused',
      '1×0.0625',
      '1×0.125',
      '1×0.25',
      '1×0.5',
      '1×1',
      '2×1',
      '3×1',
      'all×1',
    ]);
  });

  it('leaves a pause for the smallest step when the value is within its limit, however near', () => {
    const paused = seconds(WAITERS, times(20, value(11)));
    const { last } = seconds(WAITERS, times(60, value(10)), { from: paused.state, start: 20 });
    expect(last).toMatchObject({ paused: false, connections: 1, scale: 1 / 16 });
  });

  it('says in words what it does and why, with the value of the present', () => {
    const { last, state } = seconds(P99, times(4, value(250)));
    expect(last.limiter).toEqual({
      signal: 'p99',
      effect: 'slowed',
      why: '1 of 4 connections: p99 250 ms, limit 200 ms',
    });
    const easy = seconds(P99, [value(20)], { from: state, start: 4 });
    expect(easy.last.limiter?.why).toBe('1 of 4 connections: p99 20 ms, limit 200 ms (recovering)');
    expect(seconds(P99, times(20, value(250))).last.limiter).toEqual({
      signal: 'p99',
      effect: 'paused',
      why: 'paused: p99 250 ms, limit 200 ms',
    });
  });

  it('follows the worst of several signals, and names that one', () => {
    const { decision } = steer(
      UNLIMITED,
      [
        { signal: WAITERS, measured: value(11) },
        { signal: P99, measured: value(400) },
      ],
      { now: 0, wanted: 4, missing: 'pauses' },
    );
    expect(decision.limiter?.signal).toBe('p99');
    expect(decision.signals.map(({ signal, zone }) => [signal, zone])).toEqual([
      ['lock-waiters', 'over'],
      ['p99', 'over'],
    ]);
  });

  it('keeps to fewer connections when the backfill itself is given fewer or more of them', () => {
    const { state } = seconds(WAITERS, times(3, value(11)), { wanted: 8 });
    expect(state.connections).toBe(2);
    const grown = steer(state, [{ signal: WAITERS, measured: value(5) }], {
      now: 4_000,
      wanted: 16,
      missing: 'pauses',
    });
    expect(grown.decision.limiter?.why).toContain('2 of 16 connections');
    const shrunk = steer(state, [{ signal: WAITERS, measured: value(5) }], {
      now: 4_000,
      wanted: 2,
      missing: 'pauses',
    });
    expect(shrunk.decision.limiter).toBeNull();
  });

  it('with a limit of 0 takes nothing for easy and anything for too much', () => {
    const none: LoadSignal = { ...WAITERS, limit: 0 };
    expect(seconds(none, times(30, value(0))).last.limiter).toBeNull();
    expect(seconds(none, [value(1)]).last.connections).toBe(2);
  });
});

describe('a stop', () => {
  it('pauses as soon as its limit is passed and goes on where it was, five seconds after', () => {
    const { decisions, last } = seconds(LAG, [
      ...times(2, value(10_000)),
      value(10_001),
      ...times(8, value(9_000)),
    ]);
    expect(decisions.map(({ paused }) => paused)).toEqual([
      ...[false, false],
      ...times(5, true),
      ...times(4, false),
    ]);
    expect(decisions[2]?.limiter?.why).toBe('paused: replication lag 10s, limit 10s');
    expect(decisions[4]?.limiter?.why).toBe('paused: replication lag 9.0s, limit 10s (recovering)');
    expect(last).toMatchObject({ connections: null, scale: 1, limiter: null });
  });

  it('is what a signal counts as that cannot be measured, in either mode', () => {
    for (const signal of [WAITERS, LAG]) {
      for (const measured of [{ kind: 'no-data' }, { kind: 'error', message: 'no standby' }] as const) {
        const { last } = seconds(signal, [measured]);
        expect(last).toMatchObject({ paused: true, limiter: { effect: 'paused', signal: signal.kind } });
        expect(last.limiter?.why).toContain('cannot be measured');
      }
    }
  });

  it('where work has to get on, takes it down to the smallest step instead when a signal cannot be measured', () => {
    for (const signal of [WAITERS, LAG]) {
      const error: Measurement = { kind: 'error', message: 'it is gone' };
      const { decisions, last } = seconds(signal, times(60, error), { missing: 'slows' });
      expect(decisions.some(({ paused }) => paused)).toBe(false);
      expect(last).toMatchObject({ connections: 1, scale: 1 / 16 });
      expect(last.limiter?.why).toBe(
        `1 of 4 connections, batches of 1/16 of their size: ${signal.kind} cannot be measured: it is gone`,
      );
    }
    // What is measured and passed is still a stop.
    expect(seconds(LAG, [value(11_000)], { missing: 'slows' }).last.paused).toBe(true);
  });

  it('tells the limit that was passed where a kind is watched to steer and to stop', () => {
    const stop: LoadSignal = { ...WAITERS, mode: 'stop', limit: 20 };
    const measured = value(21);
    const readings = [
      { signal: WAITERS, measured },
      { signal: stop, measured },
    ];
    const { decision } = steer(UNLIMITED, readings, { now: 0, wanted: 4, missing: 'pauses' });
    expect(decision.limiter?.why).toBe('paused: 21 sessions wait for locks on the table, limit 20');
  });

  it('of wraparound says what is going on', () => {
    const signal: LoadSignal = { kind: 'wraparound-vacuum', mode: 'stop' };
    expect(seconds(signal, [value(1)]).last.limiter?.why).toBe(
      'paused: autovacuum is at work on the table to prevent wraparound',
    );
    expect(seconds(signal, [value(0)]).last.paused).toBe(false);
  });
});

describe('whatever is measured', () => {
  const measurements = fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: 0, max: 20, noNaN: true }).map(value) },
      { weight: 1, arbitrary: fc.constant({ kind: 'no-data' } as const) },
    ),
    { minLength: 1, maxLength: 200 },
  );
  const wanted = fc.integer({ min: 1, max: 16 });

  it('connections go before batch sizes, and batch sizes before a pause', () => {
    fc.assert(
      fc.property(measurements, wanted, (measured, connections) => {
        for (const { state } of rounds(measured, connections)) {
          expect(state.connections ?? 1).toBeGreaterThanOrEqual(1);
          expect([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]).toContain(state.scale);
          if (state.scale < 1) expect(state.connections).toBe(1);
          if (state.paused) expect(state.scale).toBeLessThanOrEqual(1 / 4);
        }
      }),
    );
  });

  it('it does not flap: ten seconds lie between a step and the next one up, two before the next one down', () => {
    fc.assert(
      fc.property(measurements, wanted, (measured, connections) => {
        let before: LoadState = UNLIMITED;
        for (const { state, second } of rounds(measured, connections)) {
          const since = (at: number | null) => (at === null ? Number.POSITIVE_INFINITY : second * 1_000 - at);
          if (state.raisedAt !== before.raisedAt) {
            expect(since(before.raisedAt)).toBeGreaterThanOrEqual(10_000);
            expect(since(state.pressedAt)).toBeGreaterThanOrEqual(10_000);
          }
          if (state.loweredAt !== before.loweredAt)
            expect(since(before.loweredAt)).toBeGreaterThanOrEqual(2_000);
          before = state;
        }
      }),
    );
  });

  it('it is paused within 20 seconds of lasting overload, and at full speed within five minutes of ease', () => {
    fc.assert(
      fc.property(measurements, wanted, (measured, connections) => {
        const { state } = seconds(WAITERS, measured, { wanted: connections });
        const start = measured.length;
        const overload = seconds(WAITERS, times(20, value(50)), { wanted: connections, from: state, start });
        expect(overload.last.paused).toBe(true);
        const ease = seconds(WAITERS, times(300, value(0)), { wanted: connections, from: state, start });
        expect(ease.last).toMatchObject({ connections: null, scale: 1, paused: false, limiter: null });
      }),
    );
  });

  it('it always names a limiter when it limits, and none when it does not', () => {
    fc.assert(
      fc.property(measurements, wanted, (measured, connections) => {
        for (const { decision } of rounds(measured, connections)) {
          const limited =
            decision.paused ||
            decision.scale < 1 ||
            (decision.connections !== null && decision.connections < connections);
          expect(decision.limiter !== null).toBe(limited);
        }
      }),
    );
  });
});

function* rounds(measured: readonly Measurement[], wanted: number) {
  let state = UNLIMITED;
  for (const [second, measurement] of measured.entries()) {
    const steered = steer(state, [{ signal: WAITERS, measured: measurement }], {
      now: second * 1_000,
      wanted,
      missing: 'pauses',
    });
    state = steered.state;
    yield { ...steered, second };
  }
}
