import type { Register } from '../cli.ts';
import { registerApi } from './api.ts';
import { registerDemo } from './demo.ts';
import { registerDev } from './dev.ts';
import { registerDryRun } from './dry-run.ts';
import { registerExceptions } from './exceptions.ts';
import { registerLog } from './log.ts';
import { registerPlan } from './plan.ts';
import { registerReport } from './report.ts';
import { registerRunCommands } from './run-commands.ts';
import { registerStart } from './start.ts';
import { registerStatus } from './status.ts';
import { registerWorker } from './worker.ts';

/** In the order in which `--help` lists them: from a first try to daily work to production. */
export const COMMANDS: Register[] = [
  registerDemo,
  registerDev,
  registerPlan,
  registerDryRun,
  registerStart,
  registerStatus,
  registerRunCommands,
  registerReport,
  registerExceptions,
  registerLog,
  registerApi,
  registerWorker,
];
