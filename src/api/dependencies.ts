import type { Client } from '@temporalio/client';
import type { FastifyBaseLogger } from 'fastify';
import type { ControlDb } from '../db/control-db.ts';
import type { EventWakeups } from '../db/run-events.ts';
import type { Role } from '../domain/role.ts';

/** A bearer token: who it stands for and what it may do. */
export type ApiToken = { name: string; role: Role; token: string };

/** What the API is made of. It closes none of it. */
export type ApiDependencies = {
  db: ControlDb;
  temporal: Client;
  wakeups: EventWakeups;
  tokens: ApiToken[];
  /** Names of the configured target databases. */
  targets: string[];
  /** Base of links into the Temporal Web UI, without a slash at its end. */
  webUiUrl?: string | undefined;
  logger: FastifyBaseLogger;
};
