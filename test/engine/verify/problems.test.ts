import { describe, expect, it } from 'vitest';
import { defineTransform, migrated, TransformRegistry } from '../../../src/engine/transform/transform.ts';
import { verifyProblems } from '../../../src/engine/verify/problems.ts';
import { phaseOf } from '../harness.ts';

const transforms = new TransformRegistry([
  defineTransform({
    name: 'both',
    version: 1,
    reads: ['old'],
    writes: ['new', 'Other'],
    transform: () => migrated({ new: 1 }),
  }),
]);
const backfill = (where: string | undefined, version = 1) =>
  phaseOf('t', { where, transform: { kind: 'registered', name: 'both', version } });

describe('a verification of a registered transform', () => {
  it('needs a condition that outlives the backfill', () => {
    expect(verifyProblems(backfill(`new IS NULL OR "Other" > 1`), transforms)).toMatchObject([
      { path: 'backfill', problem: expect.stringContaining('"fill" deals with rows by "new", "Other"') },
    ]);
    expect(verifyProblems(backfill(`old <> 'new' -- new`), transforms)).toEqual([]);
    expect(verifyProblems(backfill(undefined), transforms)).toEqual([]);
  });

  it('leaves it to the backfill to say that there is no such transform', () => {
    expect(verifyProblems(backfill('new IS NULL', 2), transforms)).toEqual([]);
  });
});
