import type { Register } from '../cli.ts';
import { registerDryRun } from './dry-run.ts';
import { registerExceptions } from './exceptions.ts';
import { registerForget } from './forget.ts';
import { registerLog } from './log.ts';
import { registerPlan } from './plan.ts';
import { registerReport } from './report.ts';
import { registerRunCommands } from './run-commands.ts';
import { registerApi, registerDemo, registerDev, registerWorker } from './servers.ts';
import { registerStart } from './start.ts';
import { registerStatus } from './status.ts';
import { registerUndoRows } from './undo-rows.ts';

/** In the order in which `--help` lists them: from a first try to daily work to production. */
export const COMMANDS: Register[] = [
  registerDemo,
  registerDev,
  registerPlan,
  registerDryRun,
  registerStart,
  registerStatus,
  registerRunCommands,
  registerUndoRows,
  registerForget,
  registerReport,
  registerExceptions,
  registerLog,
  registerApi,
  registerWorker,
];
