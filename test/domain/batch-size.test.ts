import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterBatch, afterTimeout, type BatchSize, firstBatch } from '../../src/domain/batch-size.ts';

const GOAL = { targetMs: 250, maxRows: 20_000 };

/** Runs so many full batches on a table whose batches take a fixed time and a time per row. */
function run(
  size: BatchSize,
  batches: number,
  cost: { fixedMs: number; msPerRow: number },
  goal = GOAL,
): { size: BatchSize; took: number[] } {
  const took: number[] = [];
  let next = size;
  for (let n = 0; n < batches; n += 1) {
    const ms = cost.fixedMs + cost.msPerRow * next.rows;
    took.push(ms);
    next = afterBatch(next, { rows: next.rows, full: true, ms }, goal);
  }
  return { size: next, took };
}

const goals = fc.record({
  targetMs: fc.integer({ min: 10, max: 5_000 }),
  maxRows: fc.integer({ min: 1, max: 100_000 }),
});

describe('batch size', () => {
  it('comes to batches of the wanted time, however fast or slow a row is', () => {
    fc.assert(
      fc.property(
        goals,
        fc.integer({ min: 1, max: 100_000 }),
        // From a hundred thousand rows per target time down to three.
        fc.double({ min: -5, max: -0.5, noNaN: true }),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (goal, first, magnitude, fixedShare) => {
          const cost = { fixedMs: goal.targetMs * fixedShare, msPerRow: goal.targetMs * 10 ** magnitude };
          const { size } = run(firstBatch(first, goal), 150, cost, goal);
          const ms = cost.fixedMs + cost.msPerRow * size.rows;
          if (size.rows === goal.maxRows) expect(ms).toBeLessThanOrEqual(goal.targetMs * 1.001);
          // A row more or less is what whole rows cost.
          else
            expect(Math.abs(ms - 0.95 * goal.targetMs)).toBeLessThanOrEqual(
              0.06 * goal.targetMs + cost.msPerRow,
            );
        },
      ),
    );
  });

  it('grows from a single row also where a batch by itself costs half of the wanted time', () => {
    const goal = { targetMs: 18, maxRows: 40_000 };
    const { size } = run(firstBatch(1, goal), 150, { fixedMs: 9, msPerRow: 0.001 }, goal);
    expect(size.rows).toBeGreaterThan(5_000);
  });

  it('never leaves 1 to the maximum and never grows by more than a fifth or a row, whatever happens', () => {
    const happening = fc.oneof(
      fc.record({ ms: fc.double({ min: 0, max: 1e7, noNaN: true }), full: fc.boolean() }),
      fc.constant('timeout' as const),
    );
    fc.assert(
      fc.property(goals, fc.integer({ min: 1, max: 1e6 }), fc.array(happening), (goal, first, happenings) => {
        let size = firstBatch(first, goal);
        for (const what of happenings) {
          const before = size.rows;
          size =
            what === 'timeout'
              ? afterTimeout(size, before, goal)
              : afterBatch(size, { rows: before, ...what }, goal);
          expect(Number.isInteger(size.rows)).toBe(true);
          expect(size.rows).toBeGreaterThanOrEqual(1);
          expect(size.rows).toBeLessThanOrEqual(goal.maxRows);
          expect(size.rows).toBeLessThanOrEqual(Math.max(before + 1, before * 1.2));
        }
      }),
    );
  });

  it('meets a table that is suddenly ten times slower within four batches', () => {
    const fast = run(firstBatch(1_000, GOAL), 60, { fixedMs: 2, msPerRow: 0.05 });
    const slow = run(fast.size, 6, { fixedMs: 2, msPerRow: 0.5 });
    expect(slow.took[0]).toBeGreaterThan(8 * GOAL.targetMs);
    expect(slow.took[4]).toBeLessThan(1.25 * GOAL.targetMs);
  });

  it('does not take the rest of a range, which is soon done, for fast rows', () => {
    const { size } = run(firstBatch(1_000, GOAL), 60, { fixedMs: 0, msPerRow: 0.1 });
    expect(afterBatch(size, { rows: size.rows, full: false, ms: 3 }, GOAL)).toEqual(size);
    const slowRest = afterBatch(size, { rows: size.rows, full: false, ms: 10 * GOAL.targetMs }, GOAL);
    expect(slowRest.rows).toBeLessThan(size.rows / 3);
  });

  it('halves a batch that ran into its timeout, and grows from there only when batches are fast', () => {
    const { size } = run(firstBatch(1_000, GOAL), 60, { fixedMs: 0, msPerRow: 0.1 });
    const smaller = afterTimeout(size, size.rows, GOAL);
    expect(smaller.rows).toBe(Math.floor(size.rows / 2));
    // A throttled batch was smaller than the size, and is what timed out.
    expect(afterTimeout(size, 100, GOAL).rows).toBe(50);
    const asSlow = afterBatch(smaller, { rows: smaller.rows, full: true, ms: GOAL.targetMs }, GOAL);
    expect(asSlow.rows).toBe(smaller.rows);
  });
});
