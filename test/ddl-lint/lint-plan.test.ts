import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { lintPlanDdl } from '../../src/ddl-lint/lint-plan.ts';
import { parsePlan } from '../../src/plan/parse.ts';
import type { PlanInput } from '../../src/plan/schema.ts';

type PhaseInput = PlanInput['phases'][number];
type SchemaInput = Extract<PhaseInput, { kind: 'schema' }>;

const lint = (...phases: PhaseInput[]) => lintPlanDdl(parsePlan({ name: 'p', target: 'app', phases }));
const schema = (up: string[], given: Partial<SchemaInput> = {}): SchemaInput => ({
  kind: 'schema',
  name: 'expand',
  up,
  down: ['SELECT 1'],
  ...given,
});
const rulesOf = async (...phases: PhaseInput[]) => (await lint(...phases)).findings.map(({ rule }) => rule);

describe('the DDL of a plan', () => {
  it('that waits for no long lock and breaks no client gives nothing to object to', async () => {
    const { findings, problems } = await lint(
      schema(
        [
          'ALTER TABLE people ADD COLUMN full_name text',
          'CREATE INDEX CONCURRENTLY people_full_name ON people (full_name)',
          'ALTER TABLE people ADD CONSTRAINT named CHECK (full_name IS NOT NULL) NOT VALID',
          'ALTER TABLE people VALIDATE CONSTRAINT named',
          'ALTER TABLE people ALTER COLUMN full_name SET NOT NULL',
        ],
        { down: ['DROP INDEX CONCURRENTLY people_full_name', 'ALTER TABLE people DROP COLUMN full_name'] },
      ),
    );
    expect(findings).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('that can hold an application up is refused, with where, why, what is better and the waiver to paste', async () => {
    const { findings, problems } = await lint(
      schema(['SELECT 1', '-- for the search\nCREATE INDEX people_name\n  ON people (name)']),
    );
    expect(findings).toEqual([
      {
        path: 'phases[0].up[1]',
        statement: 1,
        line: 2,
        rule: 'require-concurrent-index-creation',
        severity: 'warning',
        message: expect.stringContaining('table updates are blocked'),
        help: expect.stringContaining('concurrently'),
        waivedBecause: undefined,
      },
    ]);
    expect(problems).toEqual([
      {
        path: 'phases[0].up[1]',
        problem: expect.stringMatching(
          /^warning require-concurrent-index-creation in line 2: .*updates are blocked/,
        ),
        fix: expect.stringMatching(
          /`concurrently`.*; or, if it does no harm here, say why: waivers: \[\{ rule: require-concurrent-index-creation, statement: 1, reason: "…" \}\]$/,
        ),
      },
    ]);
  });

  it('is accepted by a waiver for the rule, in one statement or in all, and shows the reason', async () => {
    const up = ['CREATE INDEX a ON t (a)', 'CREATE INDEX b ON t (b)'];
    const rule = 'require-concurrent-index-creation';
    const reason = 'the table has ten rows';
    const one = await lint(schema(up, { waivers: [{ rule, reason, statement: 1 }] }));
    expect(one.findings.map(({ waivedBecause }) => waivedBecause)).toEqual([undefined, reason]);
    expect(one.problems).toMatchObject([{ path: 'phases[0].up[0]' }]);
    const all = await lint(schema(up, { waivers: [{ rule, reason }] }));
    expect(all.findings.map(({ waivedBecause }) => waivedBecause)).toEqual([reason, reason]);
    expect(all.problems).toEqual([]);
  });

  it('has no waiver that accepts nothing', async () => {
    const reason = 'for good measure';
    const { problems } = await lint(
      schema(['DROP TABLE old'], {
        waivers: [
          { rule: 'ban-drop-table', reason },
          { rule: 'ban-drop-table', reason, statement: 1 },
          { rule: 'ban-drop-tables', reason },
        ],
      }),
    );
    expect(problems).toEqual([
      {
        path: 'phases[0].waivers[1]',
        problem: 'accepts "ban-drop-table", which the DDL linter does not find in statement 1 of the phase',
        fix: expect.stringContaining('remove it'),
      },
      {
        path: 'phases[0].waivers[2]',
        problem:
          'accepts "ban-drop-tables", which the DDL linter does not find in any statement of the phase',
        fix: expect.stringContaining('remove it'),
      },
    ]);
  });

  it('is looked at in cleanup phases as well, where dropping wants a reason', async () => {
    const cleanup: PhaseInput = {
      kind: 'cleanup',
      name: 'contract',
      statements: ['ALTER TABLE people DROP COLUMN first'],
    };
    expect((await lint(cleanup)).problems).toMatchObject([{ path: 'phases[0].statements[0]' }]);
    const waivers = [{ rule: 'ban-drop-column', reason: 'nothing has read it since May' }];
    expect((await lint({ ...cleanup, waivers })).problems).toEqual([]);
  });

  it('may drop on the way down what the way up has added, and nothing else that is dangerous', async () => {
    const up = ['ALTER TABLE people ADD COLUMN a text'];
    expect(await rulesOf(schema(up, { down: ['ALTER TABLE people DROP COLUMN a', 'DROP TABLE b'] }))).toEqual(
      [],
    );
    expect(await rulesOf(schema(up, { down: ['DROP INDEX people_a'] }))).toEqual([
      'require-concurrent-index-deletion',
    ]);
  });

  it('may do anything to a table that the same phase has just created, but not a later one', async () => {
    const create = 'CREATE TABLE audit (id bigint PRIMARY KEY, at timestamptz)';
    const index = 'CREATE INDEX audit_at ON audit (at)';
    expect(await rulesOf(schema([create, index]))).toEqual([]);
    expect(await rulesOf(schema([create]), { ...schema([index]), name: 'later' })).toEqual([
      'require-concurrent-index-creation',
    ]);
  });

  it('gets advice about how a column is declared, which asks for nothing', async () => {
    const { findings, problems } = await lint(
      schema(['ALTER TABLE people ADD COLUMN age int', 'ALTER TABLE people ADD COLUMN born timestamp']),
    );
    expect(findings).toMatchObject([
      { rule: 'prefer-bigint-over-int', severity: 'advice', statement: 0 },
      { rule: 'prefer-timestamp-tz', severity: 'advice', statement: 1 },
    ]);
    expect(problems).toEqual([]);
  });

  it('that cannot be read is an error, and does not hide what is wrong elsewhere', async () => {
    const { findings } = await lint(
      schema(['DROP TABLE a;', 'ALTER TABLE x ADD COLUMN IF NOT', 'DROP TABLE b -- gone', 'DROP TABLE c']),
    );
    const placed = findings.map(({ statement, rule, severity }) => `${statement} ${rule} ${severity}`);
    expect([...new Set(placed)]).toEqual([
      '0 ban-drop-table warning',
      '1 syntax-error error',
      '2 ban-drop-table warning',
      '3 ban-drop-table warning',
    ]);
  });

  it('cannot talk the linter out of a finding by a comment', async () => {
    const up = ['-- squawk-ignore ban-drop-table\nDROP TABLE a', '/* squawk-ignore-file */ DROP TABLE b'];
    expect(await rulesOf(schema(up))).toEqual(['ban-drop-table', 'ban-drop-table']);
  });

  it('keeps strings that look like comments and statements whole', async () => {
    const up = [`COMMENT ON TABLE a IS 'drop -- it; DROP TABLE a'`, 'SELECT $$ ; DROP TABLE b; $$'];
    expect(await rulesOf(schema(up))).toEqual([]);
  });
});

describe('a configuration file of the linter', () => {
  const before = process.cwd();
  const directory = mkdtempSync(join(tmpdir(), 'cutover-squawk-'));
  afterEach(() => {
    process.chdir(before);
    rmSync(directory, { recursive: true });
  });

  it('where the process runs decides nothing', async () => {
    writeFileSync(join(directory, '.squawk.toml'), 'excluded_rules = ["ban-drop-table"]');
    process.chdir(directory);
    expect(await rulesOf(schema(['DROP TABLE a']))).toEqual(['ban-drop-table']);
  });
});
