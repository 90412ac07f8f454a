import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { tsImport } from 'tsx/esm/api';

/**
 * Imports a TypeScript or JavaScript file of the user's by its path; returns what it exports, by name.
 * Where no package.json says `"type": "module"` the file is CommonJS, whose exports come as one default.
 */
export async function importModule(path: string): Promise<Record<string, unknown>> {
  const module = (await tsImport(pathToFileURL(resolve(path)).href, import.meta.url)) as Record<
    string,
    unknown
  >;
  const inner = module.default;
  const isCommonJs = typeof inner === 'object' && inner !== null && '__esModule' in inner;
  return isCommonJs ? (inner as Record<string, unknown>) : module;
}
