import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planHash } from '../../src/plan/hash.ts';
import { planJsonSchema } from '../../src/plan/json-schema.ts';
import { loadPlanFile } from '../../src/plan/load.ts';
import { PlanRefused, parsePlan } from '../../src/plan/parse.ts';

const minimal = {
  name: 'add-full-name',
  target: 'app',
  phases: [
    {
      kind: 'backfill',
      name: 'fill',
      table: 'people',
      transform: { kind: 'sql', set: { full_name: "first || ' ' || last" } },
    },
  ],
};

function problemsOf(document: unknown) {
  try {
    parsePlan(document);
  } catch (error) {
    if (error instanceof PlanRefused) return error.problems;
    throw error;
  }
  return [];
}

describe('parsePlan', () => {
  it('fills in the defaults', () => {
    const [phase] = parsePlan(minimal).phases;
    expect(phase).toMatchObject({
      onFailure: 'rollback',
      pointOfNoReturn: false,
      batchSize: 1000,
      undo: { kind: 'journal' },
      errorBudget: { rows: 100, share: 0.05 },
    });
  });

  it('tells every problem at once, each with its path and what would be right', () => {
    const problems = problemsOf({
      name: 'Add Full Name',
      target: 5,
      extra: true,
      phases: [
        { kind: 'nonsense', name: 'a' },
        { kind: 'schema', name: 'b', up: [] },
        { kind: 'rollout', name: 'c', flag: { name: 'f' }, stages: [{ percentage: 120, hold: '1 day' }] },
        { name: 'd' },
      ],
    });
    expect(problems.map(({ path }) => path).sort()).toEqual([
      'extra',
      'name',
      'phases[0].kind',
      'phases[1].up',
      'phases[2].stages[0].hold',
      'phases[2].stages[0].percentage',
      'phases[3].kind',
      'target',
    ]);
    for (const { problem, fix } of problems) {
      expect(problem).not.toBe('');
      expect(fix).not.toBe('');
    }
  });

  const phases = (...list: object[]) => ({ name: 'p', target: 'app', phases: list });
  const flag = { name: 'v2' };
  const rollout = (...percentages: number[]) => ({
    kind: 'rollout',
    name: 'roll',
    flag,
    stages: percentages.map((percentage) => ({ percentage, hold: '1h' })),
  });

  it('tells what is wrong between the parts of a plan also while one of the parts cannot be read', () => {
    const soak = { kind: 'soak', name: 'roll', flag, for: '1d' };
    const problems = problemsOf(
      phases(
        { kind: 'schema', name: 'add', up: ['SELECT 1'] },
        { kind: 'backfill', name: 'add', table: 'people', batchSize: 0, transform: 5 },
        rollout(50, 10),
        soak,
      ),
    );
    expect(problems.map(({ path }) => path).sort()).toEqual([
      'phases[0].down',
      'phases[1].batchSize',
      'phases[1].name',
      'phases[1].transform',
      'phases[2].stages[1].percentage',
      'phases[3].flag',
      'phases[3].name',
    ]);
  });

  it('does not miss in a plan what may be in the part that cannot be read', () => {
    const unreadable = { ...rollout(100), flag: 5 };
    const problems = problemsOf(
      phases(
        unreadable,
        { kind: 'soak', name: 'soak', flag, for: '1d' },
        {
          kind: 'cleanup',
          name: 'clean',
          after: { flag, for: '1d' },
          statements: ['SELECT 1'],
        },
      ),
    );
    expect(problems.map(({ path }) => path)).toEqual(['phases[0].flag']);
  });

  it.each([
    ['batchSize', 0, 'it must be at least 1'],
    ['batchSize', 1e9, 'it must be at most 100000'],
    ['batchSize', 1.5, 'it must be a whole number'],
  ])('says in words which numbers %s takes when it is %d', (key, value, fix) => {
    const [phase] = minimal.phases;
    expect(problemsOf(phases({ ...phase, [key]: value }))).toMatchObject([{ path: `phases[0].${key}`, fix }]);
  });

  it.each([
    ['batchDuration', '0s', 'write at least "1ms" and at most "1m"'],
    ['batchDuration', '2m', 'write at least "1ms" and at most "1m"'],
    ['lockTimeout', '0ms', 'write at least "1ms" and at most "30m"'],
    // More milliseconds than the server takes for its lock_timeout.
    ['lockTimeout', '5w', 'write at least "1ms" and at most "30m"'],
    ['lockTimeout', '99999999999999999999w', 'write at most "520w"'],
  ])('says how long %s may be when it is %s', (key, value, fix) => {
    const [phase] = minimal.phases;
    expect(problemsOf(phases({ ...phase, [key]: value }))).toMatchObject([{ path: `phases[0].${key}`, fix }]);
  });

  it.each(['http://user:secret@metrics/p99', 'http://:secret@metrics/p99', 'ftp://metrics/p99', 'p99'])(
    'refuses a probe of %s',
    (url) => {
      const [phase] = minimal.phases;
      const throttle = [{ kind: 'http', name: 'p99', url, limit: 1 }];
      const problems = problemsOf(phases({ ...phase, throttle }));
      expect(problems.map(({ path }) => path)).toEqual(['phases[0].throttle[0].url']);
    },
  );

  it.each(['2026-02-30T00:00', '2026-13-01T00:00', '2026-12-24T24:00', '2026-12-24T10:60'])(
    'refuses %s, which no calendar and no clock shows',
    (local) => {
      const [phase] = minimal.phases;
      const blackout = { from: '2026-01-01T00:00', to: local, timeZone: 'Europe/Berlin', reason: 'release' };
      expect(problemsOf(phases({ ...phase, blackouts: [blackout] }))).toMatchObject([
        { path: 'phases[0].blackouts[0].to', fix: expect.stringContaining('day of the calendar') },
      ]);
    },
  );

  const cases: [string, object, string][] = [
    [
      'two phases of one name',
      phases(minimal.phases[0] as object, minimal.phases[0] as object),
      'phases[1].name',
    ],
    ['stages that do not rise', phases(rollout(10, 50, 50)), 'phases[0].stages[2].percentage'],
    [
      'a schema change without a way back',
      phases({ kind: 'schema', name: 's', up: ['SELECT 1'] }),
      'phases[0].down',
    ],
    [
      'rows that could not be restored',
      phases({ ...minimal.phases[0], undo: { kind: 'none' } }),
      'phases[0].undo',
    ],
    [
      'an undo statement for the whole table',
      phases({
        ...minimal.phases[0],
        undo: { kind: 'sql', statement: 'UPDATE people SET full_name = NULL' },
      }),
      'phases[0].undo.statement',
    ],
    [
      'a soak of a flag that nobody rolls out',
      phases({ kind: 'soak', name: 's', flag, for: '1d' }),
      'phases[0].flag',
    ],
    [
      'a cleanup after a flag that never reaches 100 %',
      phases(rollout(10, 50), {
        kind: 'cleanup',
        name: 'c',
        after: { flag, for: '1d' },
        statements: ['SELECT 1'],
      }),
      'phases[1].after.flag',
    ],
    [
      'a cleanup that does not wait for the flag that the plan rolls out',
      phases(rollout(100), { kind: 'cleanup', name: 'c', statements: ['SELECT 1'] }),
      'phases[1].after',
    ],
    [
      'a gate that is measured less often than the shortest hold lasts',
      phases({
        ...rollout(100),
        gates: [{ name: 'g', sql: 'SELECT 1', op: '<', threshold: 1, interval: '2h' }],
      }),
      'phases[0].gates[0].interval',
    ],
    [
      'a condition that would take in rows of other batches',
      phases({ ...minimal.phases[0], where: 'false) OR (true' }),
      'phases[0].where',
    ],
    [
      'a value that would write another column',
      phases({ ...minimal.phases[0], transform: { kind: 'sql', set: { n: "1), label = ('x'" } } }),
      'phases[0].transform.set.n',
    ],
    [
      'an expression that does not end',
      phases({ ...minimal.phases[0], pending: "n = ANY (ARRAY[1, ')'" }),
      'phases[0].pending',
    ],
    ['an endpoint without a backfill', { ...phases(rollout(100)), endpoint: 'migrate' }, 'endpoint'],
  ];
  it.each(cases)('refuses %s', (_what, document, path) => {
    expect(problemsOf(document).map((problem) => problem.path)).toEqual([path]);
  });
});

describe('planHash', () => {
  it('is the same however the document was written, and another after any change', () => {
    const plan = parsePlan(minimal);
    const reordered = parsePlan({ phases: minimal.phases, target: 'app', name: 'add-full-name' });
    expect(planHash(reordered)).toBe(planHash(plan));
    expect(planHash({ ...plan, target: 'other' })).not.toBe(planHash(plan));
  });
});

describe('planJsonSchema', () => {
  it('describes what an author writes: defaults are optional, unknown keys are refused', () => {
    const schema = planJsonSchema() as {
      required: string[];
      additionalProperties: boolean;
      properties: object;
    };
    expect(schema.required.sort()).toEqual(['name', 'phases', 'target']);
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toContain('endpoint');
  });
});

describe('loadPlanFile', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cutover-plan-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  it('reads YAML, JSON and TypeScript alike', async () => {
    const yaml = `name: add-full-name\ntarget: app\nphases:\n  - kind: backfill\n    name: fill\n    table: people\n    transform: { kind: sql, set: { full_name: "first || ' ' || last" } }\n`;
    await writeFile(join(dir, 'plan.yaml'), yaml);
    await writeFile(join(dir, 'plan.json'), JSON.stringify(minimal));
    await writeFile(
      join(dir, 'plan.ts'),
      `const plan: object = ${JSON.stringify(minimal)};\nexport default plan;\n`,
    );
    for (const file of ['plan.yaml', 'plan.json', 'plan.ts']) {
      expect(parsePlan(await loadPlanFile(join(dir, file)))).toEqual(parsePlan(minimal));
    }
  });

  it('says where the YAML is broken', async () => {
    await writeFile(join(dir, 'broken.yaml'), 'name: x\nphases: [\n');
    await expect(loadPlanFile(join(dir, 'broken.yaml'))).rejects.toThrow(/broken\.yaml:\d+:\d+/);
  });

  it('says what to do about a missing file, a wrong ending and a missing export', async () => {
    await expect(loadPlanFile(join(dir, 'none.yaml'))).rejects.toThrow('cannot be read');
    await expect(loadPlanFile(join(dir, 'plan.toml'))).rejects.toThrow(
      'name a .yaml, .json, .ts or .js file',
    );
    await writeFile(join(dir, 'empty.ts'), 'export const plan = {};\n');
    await expect(loadPlanFile(join(dir, 'empty.ts'))).rejects.toThrow('export default definePlan');
  });
});
