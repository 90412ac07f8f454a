import { z } from 'zod';
import { audit } from '../../../db/audit.ts';
import { findPlan, listPlans, registerPlan } from '../../../db/plans.ts';
import { lintPlanDdl } from '../../../ddl-lint/lint-plan.ts';
import type { Plan } from '../../../domain/plan.ts';
import { planHash } from '../../../plan/hash.ts';
import { planJsonSchema } from '../../../plan/json-schema.ts';
import { PlanRefused, parsePlan } from '../../../plan/parse.ts';
import { parseYaml } from '../../../plan/yaml.ts';
import { unknownPlan } from '../../errors/problem.ts';
import { presentPlan, summarizePlan } from '../../present/records.ts';
import { targetProblems } from '../../runs/target.ts';
import {
  planDetailSchema,
  planDocumentBody,
  planListSchema,
  planNameParams,
  planVersionQuery,
  registeredPlanSchema,
} from '../../schemas/plans.ts';
import type { Routes } from '../../server.ts';

const tags = ['plans'];

export const planRoutes: Routes = (deps) => async (app) => {
  const { db } = deps;

  app.addContentTypeParser(
    ['application/yaml', 'application/x-yaml', 'text/yaml'],
    { parseAs: 'string' },
    async (_request: unknown, text: string) => parseYaml(text, 'body'),
  );

  app.post(
    '/api/plans',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Register a plan',
        description:
          'As JSON, or as YAML with content type application/yaml. The latest version again stays that version (200).',
        body: planDocumentBody,
        response: { 200: registeredPlanSchema, 201: registeredPlanSchema },
      },
    },
    async (request, reply) => {
      const plan = await checkPlan(request.body, deps.targets);
      const { plan: registered, created } = await registerPlan(db, plan, planHash(plan), request.actor.name);
      const { name, version, hash } = registered;
      if (created) {
        const details = { version, hash };
        await audit(db, request.actor, {
          action: 'register',
          subject: `plan:${name}`,
          accepted: true,
          details,
        });
      }
      reply.header('location', `/api/plans/${name}?version=${version}`);
      return reply.code(created ? 201 : 200).send({ name, version, hash });
    },
  );

  app.get(
    '/api/plans',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'The latest version of every plan', response: { 200: planListSchema } },
    },
    async () => ({ plans: (await listPlans(db)).map(summarizePlan) }),
  );

  app.get(
    '/api/plans/schema',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: "The plan document's JSON Schema",
        response: { 200: z.record(z.string(), z.unknown()) },
      },
    },
    async () => planJsonSchema(),
  );

  app.get(
    '/api/plans/:name',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        summary: 'A plan, in its latest version or another',
        params: planNameParams,
        querystring: planVersionQuery,
        response: { 200: planDetailSchema },
      },
    },
    async (request) => {
      const { name } = request.params;
      const { version } = request.query;
      const plan = await findPlan(db, name, version);
      if (!plan) throw unknownPlan(name, version);
      return presentPlan(plan);
    },
  );
};

/**
 * @throws PlanRefused with every problem at once: those of the document, or of its DDL, and a target that is not
 * configured.
 */
async function checkPlan(document: unknown, targets: string[]): Promise<Plan> {
  const target = z.object({ target: z.string() }).safeParse(document).data?.target;
  const unknownTarget = target === undefined ? [] : targetProblems(targets, target);
  try {
    const plan = parsePlan(document);
    const { problems } = await lintPlanDdl(plan);
    if (problems.length > 0) throw new PlanRefused(problems);
    if (unknownTarget.length === 0) return plan;
  } catch (error) {
    if (!(error instanceof PlanRefused)) throw error;
    // A name that can't be any database's has a problem of its own already.
    const known = new Set(error.problems.map(({ path }) => path));
    throw new PlanRefused([...error.problems, ...unknownTarget.filter(({ path }) => !known.has(path))]);
  }
  throw new PlanRefused(unknownTarget);
}
