import { expect, it } from 'vitest';
import { planJsonSchema } from '../../src/plan/json-schema.ts';
import { PlanRefused, parsePlan } from '../../src/plan/parse.ts';

const LEADS = {
  kind: 'insert',
  into: 'leads',
  values: { contact_id: 'id', source: 'lead_source' },
  identifiedBy: ['contact_id'],
};

function parse(transform: object) {
  const phase = { kind: 'backfill', name: 'fill', table: 'contacts', transform };
  return parsePlan({ name: 'leads', target: 'app', phases: [phase] });
}

function problemsOf(transform: object): string[] {
  try {
    parse({ ...LEADS, ...transform });
    return [];
  } catch (error) {
    if (error instanceof PlanRefused) return error.problems.map(({ path, problem }) => `${path} ${problem}`);
    throw error;
  }
}

it('a plan that copies rows into another table leaves copies alone that are there, unless it says otherwise', () => {
  expect(parse(LEADS).phases[0]).toMatchObject({ transform: { ...LEADS, onConflict: 'nothing' } });
  expect(problemsOf({ onConflict: 'update' })).toEqual([]);
});

it.each([
  [{ into: 'contacts' }, 'into is the table that the rows come from'],
  [{ identifiedBy: ['contact_id', 'stage'] }, 'identifiedBy "stage" gets no value'],
  [{ identifiedBy: ['contact_id', 'contact_id'] }, 'identifiedBy names "contact_id" twice'],
  [
    { identifiedBy: ['contact_id', 'source'], onConflict: 'update' },
    'onConflict is update, and there is nothing to update: all values identify the row',
  ],
])('is refused where its parts do not fit together: %j', (transform, problem) => {
  expect(problemsOf(transform)).toEqual([`phases[0].transform.${problem}`]);
});

it('is described to editors', () => {
  expect(JSON.stringify(planJsonSchema())).toContain('Unique columns of `into`, written by `values`');
});
