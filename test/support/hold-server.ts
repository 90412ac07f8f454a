/*
 * Starts a server as `cutover dev` does, in a process that tests may kill: says the server's process id on stdout,
 * then holds it.
 */
import { startPostgres } from '../../src/dev/postgres.ts';
import { startTemporal } from '../../src/dev/temporal.ts';

const [kind, dir = '', executable = ''] = process.argv.slice(2);
const say = (line: string) => process.stderr.write(`${line}\n`);
const server =
  kind === 'postgres'
    ? await startPostgres({ dir, say })
    : await startTemporal({ dir, say, executable, environment: process.env });
process.stdout.write(`${server.pid()}\n`);
