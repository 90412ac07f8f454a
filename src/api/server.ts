import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { ApiDependencies } from './dependencies.ts';

/** The routes of one thing, given what they need. */
export type Routes = (deps: ApiDependencies) => FastifyPluginAsyncZod;
