import { describe, expect, it } from 'vitest';
import { PlanRefused, parsePlan } from '../../src/plan/parse.ts';

const backfill = {
  kind: 'backfill',
  name: 'fill',
  table: 'people',
  transform: { kind: 'sql', set: { full_name: "first || ' ' || last" } },
};
const sync = { kind: 'sync', name: 'keep', backfill: 'fill', mode: 'trigger' };
const verify = { kind: 'verify', name: 'check', backfill: 'fill' };

function problemsOf(...phases: object[]) {
  try {
    parsePlan({ name: 'people', target: 'app', phases });
  } catch (error) {
    if (error instanceof PlanRefused) return error.problems.map(({ path, problem }) => `${path} ${problem}`);
    throw error;
  }
  return [];
}

describe('a plan with live traffic', () => {
  it('is taken as it should be written', () => {
    const pending = { ...backfill, where: 'active', pending: 'full_name IS NULL' };
    expect(problemsOf(sync, pending, verify)).toEqual([]);
    expect(problemsOf({ ...backfill, where: 'full_name IS NULL' })).toEqual([]);
  });

  it('names a backfill that there is', () => {
    expect(problemsOf({ ...sync, backfill: 'filll' }, backfill, { ...verify, backfill: 'keep' })).toEqual([
      'phases[0].backfill there is no backfill phase "filll" to sync',
      'phases[2].backfill there is no backfill phase "keep" to verify',
    ]);
  });

  it('verifies a backfill after it, not before', () => {
    expect(problemsOf(backfill, verify, { ...verify, name: 'again', onDrift: 'fail' })).toEqual([]);
    expect(problemsOf(verify, backfill)).toEqual([
      'phases[0].backfill verifies "fill", which comes later in the plan',
    ]);
  });

  it('does not let a backfill’s own writes decide which rows are kept in sync or verified', () => {
    const hidden = { ...backfill, where: `people."full_name" IS NULL AND note <> 'full_name'` };
    for (const follower of [sync, verify]) {
      expect(problemsOf(hidden, follower)).toEqual([
        expect.stringContaining('phases[0].where reads "full_name", which the backfill writes'),
      ]);
    }
    expect(problemsOf(sync, { ...backfill, where: `note <> 'full_name' -- full_name` })).toEqual([]);
  });

  it('asks of triggers what they can do', () => {
    const registered = { ...backfill, transform: { kind: 'registered', name: 'name', version: 1 } };
    expect(problemsOf(sync, registered)).toEqual([
      'phases[0].mode is trigger, and the database cannot run a registered transform',
    ]);
    expect(problemsOf({ ...sync, mode: 'capture' }, registered)).toEqual([]);
    const copies = (onConflict: string) => ({
      ...backfill,
      transform: {
        kind: 'insert',
        into: 'names',
        values: { id: 'id', name: 'last' },
        identifiedBy: ['id'],
        onConflict,
      },
    });
    expect(problemsOf(sync, copies('nothing'))).toEqual([
      expect.stringContaining('phases[0].mode follows changes of rows, but the backfill leaves copies alone'),
    ]);
    expect(problemsOf(sync, copies('update'))).toEqual([]);
    expect(problemsOf({ ...sync, mode: 'application' }, copies('nothing'))).toEqual([]);
  });

  it('keeps a backfill in sync once, and looks at it from time to time', () => {
    expect(problemsOf({ ...sync, watchInterval: '0s' }, { ...sync, name: 'again' }, backfill)).toEqual([
      'phases[0].watchInterval is zero',
      'phases[1].backfill "fill" is kept in sync by "keep" already',
    ]);
  });
});
