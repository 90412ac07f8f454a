import { z } from 'zod';
import { EXCEPTION_KINDS, EXCEPTION_STATUSES } from '../../domain/row-exception.ts';
import { storableText } from '../../domain/storable.ts';
import { instantSchema, pageLimit } from './common.ts';

const kind = z
  .enum(EXCEPTION_KINDS)
  .describe(
    'differs: verify found it different from what its transform makes of it; kept: undo left the row alone because the ' +
      'application had changed it since',
  );
const status = z
  .enum(EXCEPTION_STATUSES)
  .describe('resolved: a value was written; replayed: derived again and migrated; skipped: left as it is');
/** As it was recorded: no database keeps every text, and none is asked for one that it does not take. */
const recorded = z.string().overwrite(storableText);
const reason = recorded.min(1).describe('The reason in full');
const reasonContains = recorded.min(1).describe('A part of the reason, in the same spelling');
const sqlstate = z.string().length(5).describe('The condition by which the database refused the row');
const phase = z.string().min(1).describe('Name of the backfill phase');

/** Which exceptions: those that meet all that is given. */
const conditions = {
  phase: phase.optional(),
  kind: kind.optional(),
  status: status.optional(),
  reason: reason.optional(),
  reasonContains: reasonContains.optional(),
  sqlstate: sqlstate.optional(),
};

export const exceptionsQuery = z.object({
  ...conditions,
  after: z.string().optional().describe('The `next` of the page before'),
  limit: pageLimit(100),
});
export const exceptionGroupsQuery = z.object({ ...conditions, limit: pageLimit(100) });

/** What a page's `next` holds: the last row's place in the order of keys, and its id. */
export const exceptionCursor = z.tuple([recorded, z.int()]);

export const exceptionIdParams = z.object({
  id: z.string().min(1).max(200),
  exceptionId: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, 'write the id as the list has it, a whole number')
    .describe('As the list has it'),
});

export const exceptionSchema = z
  .object({
    id: z.string(),
    phase: z.string(),
    key: z.array(z.string()).describe("The row's key, one text per column"),
    kind,
    reason: z.string(),
    suggestion: z.unknown().describe('What the transform would propose; null when it has nothing to propose'),
    acceptable: z.boolean().describe('Can the suggestion be accepted as it is?'),
    sqlstate: z.string().nullable(),
    message: z.string().nullable().describe("The database's words, and what may help"),
    statement: z
      .string()
      .nullable()
      .describe('What the database refused, for this row alone; with its `parameters` it can be run again'),
    parameters: z.array(z.unknown()).nullable().describe('Of the statement: $1, $2, …, as text'),
    status,
    note: z.string().nullable().describe('Why it was decided so, or could not be'),
    value: z.record(z.string(), z.unknown()).nullable().describe('The values that were written, by column'),
    decidedBy: z.string().nullable(),
    decidedAt: instantSchema.nullable(),
    recordedAt: instantSchema,
  })
  .meta({ id: 'RowException' });
export type RowException = z.output<typeof exceptionSchema>;

export const exceptionListSchema = z.object({
  exceptions: z.array(exceptionSchema),
  next: z.string().nullable().describe('`after` of the next page; null on the last'),
});
export type ExceptionList = z.output<typeof exceptionListSchema>;

export const exceptionGroupsSchema = z.object({
  reasons: z.array(
    z.object({
      phase: z.string(),
      kind,
      status,
      reason: z.string(),
      sqlstate: z.string().nullable(),
      exceptions: z.int(),
      acceptable: z.int().describe('Those of them whose suggestion can be accepted'),
    }),
  ),
});
export type ExceptionGroups = z.output<typeof exceptionGroupsSchema>;

const why = z.string().trim().min(1).max(1_000).describe('Kept with the exception and in the audit trail');
const values = z
  .record(z.string().min(1), z.unknown())
  .refine((given) => Object.keys(given).length > 0, 'give a value for at least one column')
  .describe('Column: value, as the transform would write it');
const resolution = {
  values: values.optional(),
  acceptSuggestion: z.literal(true).optional().describe('Write what the transform suggested'),
  evenIfChanged: z.boolean().default(false).describe('Also where the row has changed since it was set aside'),
  reason: why.optional(),
};
const oneOfBoth = ({
  values,
  acceptSuggestion,
}: {
  values?: unknown;
  acceptSuggestion?: boolean | undefined;
}) => (values === undefined) !== (acceptSuggestion === undefined);
const ONE_OF_BOTH = 'give either `values` or `acceptSuggestion: true`';

const filter = z
  .strictObject({
    ...conditions,
    status: z
      .enum(['open', 'skipped'])
      .optional()
      .describe('open unless given; what was skipped can be resolved or replayed as well'),
    ids: z
      .array(exceptionIdParams.shape.exceptionId)
      .min(1)
      .max(1_000)
      .optional()
      .describe('These, whatever their kind'),
    all: z.literal(true).optional().describe('Every open exception of the phase'),
  })
  .refine(
    ({ phase: _, status: __, ...named }) => Object.values(named).some((one) => one !== undefined),
    'say which: ids, kind, reason, reasonContains or sqlstate; or all: true',
  );

export const resolveBody = z
  .strictObject(resolution)
  .refine(oneOfBoth, ONE_OF_BOTH)
  .meta({ id: 'ResolveRequest' });
export const skipBody = z.strictObject({ reason: why }).meta({ id: 'SkipRequest' });
export const replayBody = z.strictObject({ reason: why.optional() }).meta({ id: 'ReplayRequest' });
export const resolveManyBody = z
  .strictObject({ filter, ...resolution })
  .refine(oneOfBoth, ONE_OF_BOTH)
  .meta({ id: 'ResolveManyRequest' });
export const skipManyBody = z.strictObject({ filter, reason: why }).meta({ id: 'SkipManyRequest' });
export const replayManyBody = z
  .strictObject({ filter, reason: why.optional() })
  .meta({ id: 'ReplayManyRequest' });
export type DecideManyRequest =
  | z.input<typeof resolveManyBody>
  | z.input<typeof skipManyBody>
  | z.input<typeof replayManyBody>;
export type DecideOneRequest =
  | z.input<typeof resolveBody>
  | z.input<typeof skipBody>
  | z.input<typeof replayBody>;

export const decisionSchema = z
  .object({
    resolved: z.int(),
    replayed: z.int(),
    skipped: z
      .int()
      .describe('Left as they are, also because the row is gone or no longer meets the condition'),
    left: z.int().describe('Still open'),
    examples: z
      .array(z.object({ id: z.string(), key: z.array(z.string()), why: z.string() }))
      .describe('The first of those that are still open, with the reason'),
    unknown: z.array(z.string()).describe('Ids that are no exception of this phase'),
  })
  .meta({ id: 'DecisionResult' });
export type DecisionResult = z.output<typeof decisionSchema>;
