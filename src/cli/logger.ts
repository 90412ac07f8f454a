import { join } from 'node:path';
import { type DestinationStream, type Logger, multistream, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from '../config.ts';

/** For a process of its own: JSON lines on stdout, or readable ones where a person looks on. */
export function processLogger(level: LogLevel): Logger {
  const stream = process.stdout.isTTY ? pretty({ colorize: process.stdout.hasColors() }) : process.stdout;
  return pino({ level }, stream);
}

/**
 * For the dev stack: everything goes to a file in its directory, so that the terminal stays readable; what somebody must
 * know goes to stderr as well.
 */
export function devLogger(
  dir: string,
  level: LogLevel,
  alsoToTerminal: boolean,
): { logger: Logger; file: string } {
  const file = join(dir, 'cutover.log');
  const toFile = pino.destination({ dest: file, mkdir: true, sync: true });
  const streams: { level: LogLevel; stream: DestinationStream }[] = [{ level, stream: toFile }];
  if (alsoToTerminal) {
    const stream = pretty({ colorize: process.stderr.isTTY && process.stderr.hasColors(), destination: 2 });
    streams.push({ level: 'warn', stream });
  }
  return { logger: pino({ level }, multistream(streams as Parameters<typeof multistream>[0])), file };
}
