import { setTimeout as delay } from 'node:timers/promises';
import {
  endProcess,
  freePort,
  type ServerProcess,
  type ServerProcessOptions,
  startServerProcess,
  tailOf,
} from './server-process.ts';

/** What one kind of server needs told; the rest of starting, waiting, stopping and starting again is the same. */
export type ServerSpec = {
  name: string;
  portCount: number;
  /** The command for these ports. */
  command(ports: readonly number[]): Omit<ServerProcessOptions, 'exitSignal'>;
  /** Called as soon as there is a process, so that a later start can find it whatever happens to this one. */
  onSpawn?(pid: number): void;
  /** Resolves when the server answers; rejects while it does not. */
  probe(ports: readonly number[]): Promise<void>;
  /** Whether waiting longer cannot make the probe succeed. */
  isFinal?(error: unknown): boolean;
  /** In the log of a server that ended at once: a fault that passes by itself, so that starting again helps. */
  passingFault: RegExp;
  /** Ends a server that a killed start left on the same data. */
  endLeftover(): Promise<void>;
  stop: { first: NodeJS.Signals; last: NodeJS.Signals };
};

/** A server that can be stopped and started again on the same ports and data. */
export type Server = {
  readonly ports: readonly number[];
  /** Process id of the running server; undefined while there is none. */
  pid(): number | undefined;
  /** Ends it in order. Nothing happens when it is stopped. */
  stop(): Promise<void>;
  /** Starts it again and resolves when it answers. Nothing happens when it runs. */
  start(): Promise<void>;
};

const START_DEADLINE_MS = 120_000;
const STOP_GRACE_MS = 30_000;

/**
 * Starts a server on free ports of the loopback interface and resolves when it answers.
 * @throws with the end of its log when it does not.
 */
export async function startServer(spec: ServerSpec): Promise<Server> {
  await spec.endLeftover();
  let running: Launched | undefined = await launch(spec);
  const { ports } = running;
  return {
    ports,
    pid: () => (running?.server.hasEnded() ? undefined : running?.server.pid),
    async stop() {
      const server = running?.server;
      running = undefined;
      if (server) await end(spec, server);
    },
    async start() {
      if (running && !running.server.hasEnded()) return;
      await spec.endLeftover();
      running = await launch(spec, ports);
    },
  };
}

type Launched = { server: ServerProcess; ports: readonly number[] };

async function launch(spec: ServerSpec, pinned?: readonly number[]): Promise<Launched> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    const ports = await choosePorts(spec.portCount, pinned);
    const taken = pinned?.find((port) => !ports.includes(port));
    let fault = `port ${taken} has been taken by another program`;
    let passes = true;
    if (taken === undefined) {
      const command = spec.command(ports);
      const server = await startServerProcess({ ...command, exitSignal: spec.stop.first });
      spec.onSpawn?.(server.pid);
      const failure = await untilReady(spec, ports, server, deadline);
      if (failure === undefined) return { server, ports };
      const log = tailOf(command.logFile);
      fault = `it ${failure}. Its log, ${command.logFile}, ends:\n${log}`;
      passes = spec.passingFault.test(log);
    }
    if (!passes || Date.now() > deadline) throw new Error(`${spec.name} could not start: ${fault}`);
    await delay(100);
  }
}

async function choosePorts(count: number, pinned: readonly number[] | undefined): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort(pinned?.[ports.size]));
  return [...ports];
}

/** Resolves to undefined when the server answers, or to what went wrong in words. */
async function untilReady(
  spec: ServerSpec,
  ports: readonly number[],
  server: ServerProcess,
  deadline: number,
): Promise<string | undefined> {
  for (;;) {
    if (server.hasEnded()) return server.ended;
    try {
      await spec.probe(ports);
      return undefined;
    } catch (error) {
      if (spec.isFinal?.(error) || Date.now() > deadline) {
        await end(spec, server);
        return `does not answer: ${error instanceof Error ? error.message : String(error)}`;
      }
      await delay(25);
    }
  }
}

async function end(spec: ServerSpec, server: ServerProcess): Promise<void> {
  if (!server.hasEnded()) await endProcess(server.pid, { ...spec.stop, graceMs: STOP_GRACE_MS });
  await server.ended;
}
