import type { CleanupPhase, Plan, SchemaPhase, Waiver } from '../domain/plan.ts';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { type DdlFinding, lintStatements } from './lint-statements.ts';

/** A finding with its place in the plan, and why it was accepted, if it was. */
export type PlacedFinding = DdlFinding & {
  /** `phases[0].up[1]` */
  path: string;
  waivedBecause?: string | undefined;
};

export type DdlLint = {
  findings: PlacedFinding[];
  /** Findings that nobody has accepted, and waivers that accept nothing. */
  problems: PlanProblem[];
};

/**
 * Lints the DDL of every schema and cleanup phase. Each list stands for itself: a table that an earlier phase creates may
 * have been filled by the time a later one runs.
 * @throws DdlLinterFailed when the linter cannot be run.
 */
export async function lintPlanDdl(plan: Pick<Plan, 'phases'>): Promise<DdlLint> {
  const lints = await Promise.all(
    plan.phases.map(async (phase, index): Promise<DdlLint> => {
      const hasDdl = phase.kind === 'schema' || phase.kind === 'cleanup';
      return hasDdl ? lintPhase(phase, `phases[${index}]`) : { findings: [], problems: [] };
    }),
  );
  return {
    findings: lints.flatMap(({ findings }) => findings),
    problems: lints.flatMap(({ problems }) => problems),
  };
}

async function lintPhase(phase: SchemaPhase | CleanupPhase, path: string): Promise<DdlLint> {
  const lists = await Promise.all(
    statementLists(phase).map(async ({ name, statements, direction }) =>
      (await lintStatements(statements, direction)).map((finding) => ({
        ...finding,
        path: `${path}.${name}[${finding.statement}]`,
      })),
    ),
  );
  const found = lists.flat();
  const accepts = (waiver: Waiver) => (finding: DdlFinding) =>
    waiver.rule === finding.rule && (waiver.statement ?? finding.statement) === finding.statement;
  const findings = found.map((finding): PlacedFinding => {
    const waiver = phase.waivers.find((candidate) => accepts(candidate)(finding));
    return { ...finding, waivedBecause: waiver?.reason };
  });
  const unused = phase.waivers.flatMap((waiver, index) =>
    found.some(accepts(waiver)) ? [] : [unusedWaiver(waiver, `${path}.waivers[${index}]`)],
  );
  return { findings, problems: [...findings.flatMap(unwaived), ...unused] };
}

function statementLists(phase: SchemaPhase | CleanupPhase) {
  if (phase.kind === 'cleanup') {
    return [{ name: 'statements', statements: phase.statements, direction: 'up' as const }];
  }
  return [
    { name: 'up', statements: phase.up, direction: 'up' as const },
    { name: 'down', statements: phase.down, direction: 'down' as const },
  ];
}

function unwaived(finding: PlacedFinding): PlanProblem[] {
  const { rule, severity, message, help, statement, line, path, waivedBecause } = finding;
  if (severity === 'advice' || waivedBecause !== undefined) return [];
  const waiver = `waivers: [{ rule: ${rule}, statement: ${statement}, reason: "…" }]`;
  const better = help === undefined ? '' : `${withoutStop(help)}; or, `;
  return [
    {
      path,
      problem: `${severity} ${rule} in line ${line}: ${withoutStop(message)}`,
      fix: `${better}if it does no harm here, say why: ${waiver}`,
    },
  ];
}

function unusedWaiver({ rule, statement }: Waiver, path: string): PlanProblem {
  const where = statement === undefined ? 'any statement' : `statement ${statement}`;
  return {
    path,
    problem: `accepts "${rule}", which the DDL linter does not find in ${where} of the phase`,
    fix: 'remove it, or correct its rule or statement (counted from 0)',
  };
}

function withoutStop(text: string): string {
  return text.replace(/\.$/, '');
}
