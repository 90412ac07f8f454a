import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tsImport } from 'tsx/esm/api';
import { LineCounter, parseDocument } from 'yaml';
import type { PlanProblem } from '../domain/plan-problem.ts';
import { PlanRefused } from './parse.ts';

/**
 * Reads a plan document from a `.yaml`, `.yml`, `.json`, `.ts`, `.mts`, `.js` or `.mjs` file, without checking it.
 * A TypeScript or JavaScript file exports the plan as its default.
 * @throws PlanRefused when the file can't be read as such a document.
 */
export async function loadPlanFile(file: string): Promise<unknown> {
  const path = resolve(file);
  switch (extname(path)) {
    case '.yaml':
    case '.yml':
    case '.json':
      return parseYaml(await read(path), file);
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
      return importPlan(path, file);
    default:
      throw refuse(file, `has the ending "${extname(path)}"`, 'name a .yaml, .json, .ts or .js file');
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw refuse(path, `cannot be read: ${(error as Error).message}`, 'check the path and its permissions');
  }
}

/** YAML 1.2 contains JSON, so one parser serves both. */
function parseYaml(text: string, file: string): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new PlanRefused(
      document.errors.map((error): PlanProblem => {
        const { line, col } = lines.linePos(error.pos[0]);
        return { path: `${file}:${line}:${col}`, problem: error.message, fix: 'mend the YAML' };
      }),
    );
  }
  return document.toJS();
}

async function importPlan(path: string, file: string): Promise<unknown> {
  const module = (await tsImport(pathToFileURL(path).href, import.meta.url).catch((error: Error) => {
    throw refuse(file, `cannot be imported: ${error.message}`, 'run it with tsx to see the whole error');
  })) as { default?: unknown };
  if (module.default === undefined)
    throw refuse(file, 'has no default export', 'write `export default definePlan({ … })`');
  return module.default;
}

function refuse(path: string, problem: string, fix: string): PlanRefused {
  return new PlanRefused([{ path, problem, fix }]);
}
