import type { BackfillPhase } from '../../domain/plan.ts';
import type { PlanProblem } from '../../domain/plan-problem.ts';
import { cutRanges } from '../../targets/postgres/backfill/cut-ranges.ts';
import { evaluateRange } from '../../targets/postgres/backfill/evaluate-range.ts';
import { findBatchEnd, findUpperBound } from '../../targets/postgres/backfill/find-key.ts';
import type { KeyRange } from '../../targets/postgres/backfill/key-range.ts';
import {
  type PlanNode,
  PlanningSession,
  preferringIndexes,
  sortedRows,
  type WholeScan,
  wholeScans,
} from '../../targets/postgres/backfill/query-plan.ts';
import { readBatch } from '../../targets/postgres/backfill/read-batch.ts';
import { readRange } from '../../targets/postgres/backfill/read-range.ts';
import type { BackfillTable } from '../../targets/postgres/backfill/table.ts';
import {
  createIndex,
  isPartOf,
  keyIndexes,
  type TableSize,
  tableSize,
} from '../../targets/postgres/backfill/table-size.ts';
import { quoteIdentifier } from '../../targets/postgres/catalog.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { migrateRows } from '../backfill/migrate.ts';
import { readColumns } from '../backfill/registered-batch.ts';

/** 8 MB. A smaller table is read in a few milliseconds, which is less than a batch takes. */
const LARGE_TABLE_PAGES = 1_024;
/** A backfill of fewer batches reads no table often enough for it to matter. */
const MANY_BATCHES = 50;
/** So many pages for each row cost several times as much as writing the row. */
const PAGES_PER_ROW = 20;
const MANY_ROWS = 10_000;
/** A range with so many times the rows of a batch is one that the planner has wrong. */
const FAR_OFF = 10;
/** The batch that is looked at begins at the middle one of so many cuts. */
const CUTS = 4;

/**
 * What the statements of a batch, as they will really be run and with keys from the middle of the table, would read whole:
 * the backfill's own table because no index serves its key, or another one because none serves the plan's SQL. They are
 * planned, not run. Small tables, which are rightly scanned, are no problem.
 */
export async function batchPlanProblems(session: Session, context: BatchContext): Promise<PlanProblem[]> {
  const { table, phase } = context;
  const size = await tableSize(session, table.qualifiedName);
  const batches = size.rows / phase.batchSize;
  const isLarge = size.pages >= LARGE_TABLE_PAGES && batches >= MANY_BATCHES;
  if (!isLarge && size.rows < MANY_ROWS) return [];
  const rest = await restFromTheMiddle(session, table, size);
  if (!rest) return [];
  if (isLarge) {
    const missing = await keyIndexProblems(session, context, rest, size);
    // Without the index nothing else can be said, and finding the end of a batch would already take too long.
    if (missing.length > 0) return missing;
  }
  const upTo = (await findBatchEnd(session, table, rest, phase.batchSize)) ?? rest.upTo;
  return scanProblems(session, context, { after: rest.after, upTo }, { size, batches });
}

async function restFromTheMiddle(
  session: Session,
  table: BackfillTable,
  { rows }: TableSize,
): Promise<KeyRange | undefined> {
  const upTo = await findUpperBound(session, table);
  if (!upTo) return undefined;
  const cuts = await cutRanges(session, table, upTo, CUTS, rows);
  return { after: cuts.length > 1 ? cuts[Math.floor((cuts.length - 1) / 2)] : undefined, upTo };
}

/** Runs the work on a session that only plans. */
async function plansOf(session: Session, work: (planning: Session) => Promise<unknown>): Promise<PlanNode[]> {
  const planning = new PlanningSession(session);
  await work(planning);
  return planning.plans;
}

async function keyIndexProblems(
  session: Session,
  { table, phase }: BatchContext,
  rest: KeyRange,
  { pages, rows }: TableSize,
): Promise<PlanProblem[]> {
  const plan = () => plansOf(session, (planning) => findBatchEnd(planning, table, rest, phase.batchSize));
  const sorts = (plans: PlanNode[]) => plans.some((node) => sortedRows(node) > FAR_OFF * phase.batchSize);
  if (!sorts(await plan()) || !sorts(await preferringIndexes(session, plan))) return [];
  const names = table.key.map(({ name }) => name);
  const [served] = await keyIndexes(session, table.qualifiedName, names);
  const index = await createIndex(session, table.qualifiedName, names, true);
  const fix = served
    ? `name the columns as the index has them: key: [${served.join(', ')}]; or create one: ${index}`
    : `create it: ${index}`;
  return [
    {
      path: 'key',
      problem:
        `no index of ${table.qualifiedName} has its rows in the order of (${names.join(', ')}): each batch of ` +
        `${phase.batchSize} rows would read and sort the whole table, ${shown(pages, rows)}`,
      fix,
    },
  ];
}

async function scanProblems(
  session: Session,
  context: BatchContext,
  range: KeyRange,
  { size, batches }: { size: TableSize; batches: number },
): Promise<PlanProblem[]> {
  const plan = async () =>
    (await plansOf(session, (planning) => runBatch(planning, context, range))).flatMap(wholeScans);
  const chosen = await plan();
  if (chosen.length === 0) return [];
  const unavoidable = await preferringIndexes(session, plan);
  const problems: PlanProblem[] = [];
  for (const scan of distinct(chosen)) {
    const name = nameOf(scan);
    const lacksIndex = unavoidable.some((other) => nameOf(other) === name);
    if (await isPartOf(session, name, context.table.qualifiedName)) {
      if (batches >= MANY_BATCHES) problems.push(...ownScanProblems(context, scan, size, lacksIndex));
    } else if (lacksIndex) {
      const other = await tableSize(session, name);
      if (isCostly(scan, other, { size, batches })) {
        problems.push(await otherScanProblem(session, context.phase, scan, other));
      }
    }
  }
  return problems;
}

/** The statements of a batch, but for what they do to Cutover's own tables, which may not be there yet. */
async function runBatch(planning: Session, context: BatchContext, range: KeyRange): Promise<void> {
  const { table, where, transform, phase, written, insertion } = context;
  const columns = [...table.columns.values(), ...(insertion?.into.columns.values() ?? [])];
  const isWhole = columns.every(({ missing }) => !missing);
  if (transform) {
    const columns = readColumns(table, transform);
    if (isWhole) await readBatch(planning, table, { columns, where, range });
    else await readRange(planning, table, { columns, where, range, lock: false });
  } else if (isWhole) {
    await migrateRows(planning, { ...context, journal: undefined, isolateFailures: false }, range);
  } else if (phase.transform.kind === 'sql') {
    // An UPDATE of columns that are not there cannot be planned; what it reads can.
    await evaluateRange(planning, table, {
      set: phase.transform.set,
      written,
      where,
      range,
      limit: undefined,
    });
  }
}

/** An index is there, so the planner thinks that the range has far more rows than it has; or it is right, and scanning is. */
function ownScanProblems(
  { table, phase }: BatchContext,
  { rows }: WholeScan,
  { pages, rows: total }: TableSize,
  lacksIndex: boolean,
): PlanProblem[] {
  if (pages < LARGE_TABLE_PAGES) return [];
  if (!lacksIndex && rows < FAR_OFF * phase.batchSize) return [];
  return [
    {
      path: 'table',
      problem:
        `each batch of ${phase.batchSize} rows would read all of ${table.qualifiedName}, ${shown(pages, total)}: ` +
        `the planner expects ${Math.round(rows)} rows between its keys`,
      fix: `bring its statistics up to date: ANALYZE ${table.qualifiedName}`,
    },
  ];
}

function isCostly(
  { perRow }: WholeScan,
  other: TableSize,
  { size, batches }: { size: TableSize; batches: number },
): boolean {
  return perRow
    ? other.pages >= PAGES_PER_ROW && size.rows >= MANY_ROWS
    : other.pages >= LARGE_TABLE_PAGES && batches >= MANY_BATCHES;
}

async function otherScanProblem(
  session: Session,
  phase: BackfillPhase,
  scan: WholeScan,
  { name, pages, rows }: TableSize,
): Promise<PlanProblem> {
  const each = scan.perRow ? 'each row' : `each batch of ${phase.batchSize} rows`;
  const fix =
    scan.columns.length > 0
      ? `create an index that finds its rows: ${await createIndex(session, name, scan.columns, false)}`
      : `write the SQL so that rows of ${name} are looked up by a column that has an index, as in EXISTS (SELECT … WHERE …)`;
  return {
    path: pathOf(phase, scan),
    problem: `for ${each} all of ${name} would be read, ${shown(pages, rows)}`,
    fix,
  };
}

/** The part of the plan that names the table. */
function pathOf({ where, pending, transform }: BackfillPhase, { relation }: WholeScan): string {
  const names = (sql: string | undefined) => sql?.toLowerCase().includes(relation.toLowerCase()) ?? false;
  if (names(where)) return 'where';
  if (names(pending)) return 'pending';
  const [path, expressions] =
    transform.kind === 'sql'
      ? ['transform.set', transform.set]
      : transform.kind === 'insert'
        ? ['transform.values', transform.values]
        : ['transform', {}];
  const column = Object.entries(expressions).find(([, sql]) => names(sql))?.[0];
  return column === undefined ? path : `${path}.${column}`;
}

function distinct(scans: readonly WholeScan[]): WholeScan[] {
  return scans.filter((scan, i) => scans.findIndex((other) => nameOf(other) === nameOf(scan)) === i);
}

function nameOf({ schema, relation }: WholeScan): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(relation)}`;
}

function shown(pages: number, rows: number): string {
  return `${Math.round(pages / 128)} MB with about ${Math.round(rows)} rows`;
}
