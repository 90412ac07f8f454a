import { LineCounter, parseDocument } from 'yaml';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { PlanRefused } from './parse.ts';

/**
 * Reads a plan document from YAML, without checking it. YAML 1.2 contains JSON, so one parser serves both.
 * @param source where the text comes from, for the problems' paths.
 * @throws PlanRefused with every error of the text, each with its line and column.
 */
export function parseYaml(text: string, source: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new PlanRefused(
      document.errors.map((error): PlanProblem => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { path: `${source}:${line}:${col}`, problem: error.message, fix: 'mend the YAML' };
      }),
    );
  }
  try {
    return document.toJS();
  } catch (error) {
    // Aliases that multiply, or that name no anchor, show only now.
    const problem = error instanceof Error ? error.message : String(error);
    throw new PlanRefused([{ path: source, problem, fix: 'write the values out instead of using aliases' }]);
  }
}
