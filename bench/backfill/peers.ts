import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Form } from './forms.ts';
import { EXPRESSION, seconds, type Workload } from './workload.ts';

/*
 * Other tools that add a column and fill it from the others while the application goes on, where they are installed. They
 * get the same server, table and expression, and the time of their whole command counts.
 */

type Peer = { command: string; migration: unknown; args(url: string, directory: string): string[][] };

const column = { name: 'peer', type: 'jsonb', nullable: true };
const PEERS: Peer[] = [
  {
    command: 'pgroll',
    migration: { operations: [{ add_column: { table: 'items', column, up: EXPRESSION } }] },
    args: (url, directory) => [
      ['init', '--postgres-url', url],
      ['start', join(directory, 'migration.json'), '--complete', '--postgres-url', url],
    ],
  },
  {
    command: 'reshape',
    migration: {
      actions: [
        { type: 'add_column', table: 'items', column: { name: 'peer', type: 'JSONB' }, up: EXPRESSION },
      ],
    },
    args: (url, directory) => [['migration', 'start', '--complete', '--url', url, '--dirs', directory]],
  },
];

/** The peers on PATH, as forms that write the column `peer`. */
export function installedPeers(directory: string, path: string): Form[] {
  return PEERS.filter(({ command }) => isOnPath(command, path)).map((peer) => ({
    name: peer.command,
    run: (workload) => runPeer(peer, workload, join(directory, peer.command)),
  }));
}

async function runPeer(peer: Peer, { url, client }: Workload, directory: string): Promise<number> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'migration.json'), JSON.stringify(peer.migration));
  const took = await seconds(async () => {
    for (const args of peer.args(url, directory)) await execute(peer.command, args);
  });
  const { rows } = await client.query(
    `SELECT count(*)::int AS wrong FROM items WHERE peer IS DISTINCT FROM ${EXPRESSION}`,
  );
  if (rows[0].wrong > 0) throw new Error(`${peer.command} left ${rows[0].wrong} rows wrong`);
  await client.query('DROP SCHEMA IF EXISTS pgroll, reshape, migration_migration, public_migration CASCADE');
  return took;
}

async function execute(command: string, args: string[]): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args[0]} ended with ${code}:\n${said}`);
}

function isOnPath(command: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
