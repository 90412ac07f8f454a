import type { QueryResult, Row, Session } from '../../target.ts';
import { withSavepoint } from './savepoint.ts';

/** Has the planner use an index wherever one could serve, until the work is done: what is still scanned then lacks one. */
export async function preferringIndexes<T>(session: Session, work: () => Promise<T>): Promise<T> {
  const settings = [
    'enable_seqscan',
    'enable_bitmapscan',
    'enable_sort',
    'enable_hashjoin',
    'enable_mergejoin',
  ];
  const setAll = (value: string) =>
    session.query(settings.map((name) => `SET LOCAL ${name} ${value}`).join('; '));
  await setAll('= off');
  const result = await work();
  await setAll('TO DEFAULT');
  return result;
}

/** A node of what `EXPLAIN (FORMAT JSON, VERBOSE)` shows. */
export type PlanNode = {
  'Node Type': string;
  'Parent Relationship'?: string;
  'Subplan Name'?: string;
  Schema?: string;
  'Relation Name'?: string;
  Alias?: string;
  'Plan Rows': number;
  'Total Cost': number;
  'Index Cond'?: string;
  Plans?: PlanNode[];
} & Record<string, unknown>;

/** A table that a statement reads from its first row to its last, however few of them it is after. */
export type WholeScan = {
  schema: string;
  relation: string;
  /** Columns by which rows are looked for, as far as the plan's conditions name them. */
  columns: string[];
  /** Once for each row that the statement deals with, and not once for the statement. */
  perRow: boolean;
  /** How many rows the planner expects it to find. */
  rows: number;
};

/**
 * A session that plans every statement it is given instead of running it, and answers that there are no rows. What runs the
 * statements of a batch on it tells how the server would run exactly these.
 */
export class PlanningSession implements Session {
  readonly #session: Session;
  readonly plans: PlanNode[] = [];

  constructor(session: Session) {
    this.#session = session;
  }

  async query<T = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<T>> {
    const { rows } = await withSavepoint(this.#session, () =>
      this.#session.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
        `EXPLAIN (FORMAT JSON, VERBOSE) ${text}`,
        values,
      ),
    );
    const plan = rows[0]?.['QUERY PLAN'][0].Plan;
    if (plan) this.plans.push(plan);
    return { rows: [], rowCount: 0, columns: [] };
  }
}

/** Every scan of the plan that reads all of its table. */
export function wholeScans(plan: PlanNode): WholeScan[] {
  const text = JSON.stringify(plan);
  const found: WholeScan[] = [];
  const visit = (node: PlanNode, above: { perRow: boolean; conditions: string; limited: boolean }) => {
    const conditions = above.conditions + conditionsOf(node);
    // A subplan that is hashed is run once and then looked up in.
    const perRow =
      above.perRow ||
      (node['Parent Relationship'] === 'SubPlan' && !isHashed(node['Subplan Name'] ?? '', text));
    const { Schema: schema, 'Relation Name': relation, Alias: alias } = node;
    if (schema !== undefined && relation !== undefined && readsAll(node, above.limited)) {
      const columns = columnsOf(alias ?? relation, conditions);
      found.push({ schema, relation, columns, perRow, rows: node['Plan Rows'] });
    }
    const limited = node['Node Type'] === 'Limit' || (above.limited && node['Node Type'] !== 'Sort');
    for (const child of node.Plans ?? []) visit(child, { perRow, conditions, limited });
  };
  visit(plan, { perRow: false, conditions: '', limited: false });
  return found;
}

function isHashed(subplan: string, plan: string): boolean {
  return new RegExp(String.raw`\bhashed ${subplan}\b`).test(plan);
}

/** The most rows that the plan sorts from scratch. */
export function sortedRows(plan: PlanNode): number {
  const own = plan['Node Type'] === 'Sort' ? (plan.Plans?.[0]?.['Plan Rows'] ?? 0) : 0;
  return Math.max(own, ...(plan.Plans ?? []).map(sortedRows));
}

/** Without a condition an index is read from end to end; in its order, a LIMIT ends that early. */
function readsAll(node: PlanNode, limited: boolean): boolean {
  if (node['Node Type'] === 'Seq Scan') return true;
  const isIndexScan = node['Node Type'] === 'Index Scan' || node['Node Type'] === 'Index Only Scan';
  return isIndexScan && node['Index Cond'] === undefined && !(limited && node.Filter === undefined);
}

const CONDITIONS = ['Filter', 'Join Filter', 'Hash Cond', 'Merge Cond', 'Index Cond', 'Recheck Cond'];

function conditionsOf(node: PlanNode): string {
  return CONDITIONS.map((name) => node[name])
    .filter((condition) => typeof condition === 'string')
    .map((condition) => ` ${condition}`)
    .join('');
}

/** Columns of the alias that the conditions compare with something for being equal. */
function columnsOf(alias: string, conditions: string): string[] {
  const name = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
  const quoted = alias.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  const column = String.raw`\(*(?:"?${quoted}"?)\.(${name})\)*(?:::[\p{L} ]+(?:\(\d+\))?\)*)?`;
  const equal = new RegExp(
    String.raw`(?<![\p{L}\p{N}_."])${column} = |(?<!<|>|!) = ${column}(?![\p{L}\p{N}_])`,
    'gu',
  );
  const columns = [...conditions.matchAll(equal)].map((match) => unquoted(match[1] ?? match[2] ?? ''));
  return [...new Set(columns)];
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
