import { z } from 'zod';
import { MOST_CONNECTIONS } from '../../domain/parallelism.ts';
import { RUN_COMMANDS, RUN_STATUSES } from '../../domain/run-state.ts';
import { instantSchema, pageLimit, planVersion, rowCountsSchema } from './common.ts';
import { gateMeasurementSchema } from './gates.ts';

export const startRunBody = z
  .strictObject({
    plan: z.string().min(1).max(63),
    version: planVersion.optional().describe('The latest unless given'),
    timeScale: z
      .number()
      .min(1)
      .max(1_000_000)
      .default(1)
      .describe('How many times faster than real time holds, soaks and gate intervals are'),
    batchSize: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('Replaces the batch size of every backfill of the plan'),
  })
  .meta({ id: 'StartRunRequest' });
export type StartRunRequest = z.input<typeof startRunBody>;

export const runStatusSchema = z.enum(RUN_STATUSES);

export const runSchema = z
  .object({
    id: z.string().describe("Also the id of the run's workflow"),
    plan: z.string(),
    version: z.int(),
    planHash: z.string(),
    target: z.string(),
    status: runStatusSchema,
    phase: z.string().nullable().describe('The present or last phase'),
    reason: z.string().nullable().describe('In words, why the run is where it is'),
    timeScale: z.number(),
    batchSize: z.int().nullable(),
    startedBy: z.string(),
    createdAt: instantSchema,
    updatedAt: instantSchema,
    finishedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Run' });
export type Run = z.output<typeof runSchema>;

export const limiterSchema = z
  .object({
    signal: z.string().describe('Name of the signal, or `budget`'),
    effect: z.enum(['slowed', 'paused']),
    why: z.string().describe('In words, what it does to the backfill and what was measured'),
  })
  .meta({ id: 'Limiter' });

export const loadSignalSchema = z
  .object({
    signal: z.string(),
    mode: z.enum(['steer', 'stop']),
    zone: z
      .enum(['easy', 'steady', 'near', 'over', 'unknown'])
      .describe('Below 0.4 of the limit, below 0.7, up to the limit, above it, not measured'),
    value: z.number().nullable(),
    limit: z.number(),
    reason: z.string().describe('In words, what was measured against which limit'),
  })
  .meta({ id: 'LoadSignal' });

export const progressSchema = z
  .object({
    counts: rowCountsSchema,
    estimatedRows: z.number().nullable().describe("The planner's estimate of rows in all"),
    rowsPerSecond: z.number(),
    share: z.number().nullable().describe('Part done, 0 to 1; null when unknown'),
    eta: z
      .object({ low: instantSchema, high: instantSchema })
      .nullable()
      .describe(
        'When it will be done, most likely between the two: at the pace of late without pauses, closed hours ahead included; null when unknown',
      ),
    limiter: limiterSchema.nullable().describe('What keeps it from going faster; null when nothing does'),
    closed: z
      .object({ until: instantSchema, why: z.string() })
      .nullable()
      .describe('Outside of the hours of its plan, and until when'),
    signals: z.array(loadSignalSchema).describe('What is watched, as it was measured last'),
  })
  .meta({ id: 'Progress' });
export type Progress = z.output<typeof progressSchema>;

export const phaseSchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    description: z.string(),
    pointOfNoReturn: z.boolean(),
    state: z.enum(['pending', 'running', 'completed', 'failed', 'undoing', 'undone', 'undo_failed']),
    summary: z.string().nullable().describe('In words, what the phase did or why it failed'),
    progress: progressSchema.nullable(),
    startedAt: instantSchema.nullable(),
    finishedAt: instantSchema.nullable(),
  })
  .meta({ id: 'Phase' });
export type Phase = z.output<typeof phaseSchema>;

export const runDetailSchema = runSchema
  .extend({
    waitingFor: z.string().nullable().describe('In words, what has to happen before the run goes on'),
    commands: z.array(z.enum(RUN_COMMANDS)).describe('What the run takes in its present state'),
    phases: z.array(phaseSchema),
    gates: z.array(gateMeasurementSchema).describe('The latest measurement of each gate'),
    links: z.object({
      self: z.string(),
      events: z.string(),
      report: z.string(),
      exceptions: z.string(),
      webUi: z.string().nullable().describe('The run in the Temporal Web UI'),
    }),
  })
  .meta({ id: 'RunDetail' });
export type RunDetail = z.output<typeof runDetailSchema>;

export const runListQuery = z.object({
  plan: z.string().optional(),
  status: runStatusSchema.optional(),
  limit: pageLimit(50),
  before: z.string().optional().describe('The `next` of the page before'),
});
export const runListSchema = z.object({
  runs: z.array(runSchema),
  next: z.string().nullable().describe('`before` of the next page; null on the last'),
});
export type RunList = z.output<typeof runListSchema>;

export const commandBody = z
  .strictObject({ reason: z.string().max(1_000).optional().describe('Kept in the audit trail') })
  .meta({ id: 'CommandRequest' });
export type CommandRequest = z.input<typeof commandBody>;

export const throttleBody = commandBody
  .extend({
    connections: z
      .int()
      .min(1)
      .max(MOST_CONNECTIONS)
      .describe('On how many the backfill is to work from now on, instead of the plan’s parallelism'),
  })
  .meta({ id: 'ThrottleRequest' });
export type ThrottleRequest = z.input<typeof throttleBody>;
