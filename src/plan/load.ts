import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { importModule } from './import-module.ts';
import { PlanRefused } from './parse.ts';
import { parseYaml } from './yaml.ts';

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

async function importPlan(path: string, file: string): Promise<unknown> {
  const module = await importModule(path).catch((error: Error) => {
    throw refuse(file, `cannot be imported: ${error.message}`, 'run it with tsx to see the whole error');
  });
  const plan = module.default;
  if (plan !== undefined) return plan;
  throw refuse(file, 'has no default export', 'write `export default definePlan({ … })`');
}

function refuse(path: string, problem: string, fix: string): PlanRefused {
  return new PlanRefused([{ path, problem, fix }]);
}
