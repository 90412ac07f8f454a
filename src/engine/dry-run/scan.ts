import { lossBetween } from '../../domain/loss.ts';
import { misfit } from '../../targets/postgres/backfill/check-values.ts';
import { type EvaluatedValues, evaluateValues } from '../../targets/postgres/backfill/evaluate-values.ts';
import type { RowException } from '../../targets/postgres/backfill/exceptions.ts';
import type { RowConstraints } from '../../targets/postgres/backfill/row-constraints.ts';
import { withSavepoint } from '../../targets/postgres/backfill/savepoint.ts';
import type { BackfillColumn, BackfillTable, Key } from '../../targets/postgres/backfill/table.ts';
import type { Session } from '../../targets/target.ts';
import type { BatchContext } from '../backfill/batch.ts';
import { bisect } from '../bisect.ts';
import { rowFailure } from '../errors.ts';
import type { Findings } from './findings.ts';
import { computableConstraints, writing } from './scan-constraints.ts';
import { MOST_REMEMBERED, SeenIdentities } from './seen-identities.ts';

/** A row with the values that it would get. */
export type Candidate = {
  key: Key;
  columns: readonly BackfillColumn[];
  /** As text, by column. */
  values: readonly (string | null)[];
  /** What the values were before they were cast, as text; left out where a cast can lose nothing. */
  sources: readonly (string | null | undefined)[];
  /** The values are texts of what the columns would keep already. */
  isCast: boolean;
  /** The text of a column's value as it may be shown. */
  show(column: BackfillColumn, text: string): string;
};

/** What would keep the row from being written; or what its columns would keep of its values. */
export type Verdict =
  | { refusal: Pick<RowException, 'reason' | 'sqlstate' | 'message'> }
  | { after: readonly (string | null)[] };

/** As the server would say it. */
const REFUSALS = {
  check: { sqlstate: '23514', words: (table: string) => `new row for ${table} violates check constraint` },
  unique: { sqlstate: '23505', words: () => 'duplicate key value violates unique constraint' },
  'foreign-key': {
    sqlstate: '23503',
    words: (table: string) => `new row for ${table} violates foreign key constraint`,
  },
} as const;

/**
 * Finds out what rows would lose, or be refused for, that neither the transform nor a cast tells: by what the table's columns
 * would keep of their values, and by its constraints. Reads only.
 */
export class RowScan {
  readonly #notes: string[] = [];
  readonly #table: BackfillTable;
  readonly #context: BatchContext;
  readonly #findings: Findings;
  readonly #seen = new SeenIdentities();
  #constraints: RowConstraints = { conditions: [], uniques: [] };

  constructor(context: BatchContext, findings: Findings) {
    this.#context = context;
    this.#table = context.insertion?.into ?? context.table;
    this.#findings = findings;
  }

  /** What could not be found out, in words. */
  get notes(): string[] {
    return this.#seen.isFull
      ? [...this.#notes, `Duplicates were looked for among the first ${MOST_REMEMBERED} rows only`]
      : this.#notes;
  }

  /** Looks the table's constraints up. Those that cannot be computed without the row in its place are noted. */
  async begin(session: Session): Promise<void> {
    const { constraints, notes } = await computableConstraints(session, this.#context, this.#table);
    this.#constraints = constraints;
    this.#notes.push(...notes);
  }

  /** Looks at rows that would be written, in the order of their keys. Returns a verdict on each, by its key as JSON. */
  async scan(session: Session, candidates: readonly Candidate[]): Promise<Map<string, Verdict>> {
    const verdicts = new Map<string, Verdict>();
    const fitting = candidates.filter((candidate) => {
      const reason = this.#misfit(candidate);
      if (reason !== undefined) verdicts.set(JSON.stringify(candidate.key), { refusal: { reason } });
      return reason === undefined;
    });
    const { conditions, uniques } = this.#constraints;
    for (const group of byColumns(fitting)) {
      const isKnown = conditions.length + uniques.length === 0 && group.every(({ isCast }) => isCast);
      if (isKnown) for (const candidate of group) this.#accept(candidate, candidate.values, verdicts);
      else await this.#scanGroup(session, group, verdicts);
    }
    return verdicts;
  }

  #accept(
    { key, columns, sources, show }: Candidate,
    after: readonly (string | null)[],
    verdicts: Map<string, Verdict>,
  ): void {
    verdicts.set(JSON.stringify(key), { after });
    columns.forEach((column, i) => {
      const [source, target] = [sources[i], after[i] ?? null];
      if (target === null) {
        this.#findings.nulled(column.name, key);
      } else if (typeof source === 'string' && mayLose(column)) {
        const loss = lossBetween(source, target, isText(column));
        if (!loss) return;
        this.#findings.lost(column.name, loss, { key, from: show(column, source), to: show(column, target) });
      }
    });
  }

  #misfit({ key, columns, values }: Candidate): string | undefined {
    for (const [i, column] of columns.entries()) {
      const value = values[i] ?? null;
      const reason = misfit(column, value);
      if (!reason) continue;
      this.#findings.violated(value === null ? 'not-null' : 'length', column.name, key);
      return reason;
    }
    return undefined;
  }

  async #scanGroup(
    session: Session,
    group: readonly Candidate[],
    verdicts: Map<string, Verdict>,
  ): Promise<void> {
    const [first] = group;
    if (!first) return;
    await bisect(
      group,
      async (part) => {
        const evaluated = await withSavepoint(session, () => this.#evaluate(session, first.columns, part));
        for (const { place, ...values } of evaluated) {
          const candidate = part[place];
          if (!candidate) continue;
          const refusal = this.#refusalOf(candidate.key, values);
          if (refusal) verdicts.set(JSON.stringify(candidate.key), { refusal });
          else this.#accept(candidate, values.after, verdicts);
        }
      },
      ({ key }, error) =>
        verdicts.set(JSON.stringify(key), { refusal: rowFailure(error, this.#context.phase.redact) }),
    );
  }

  #evaluate(session: Session, columns: readonly BackfillColumn[], rows: readonly Candidate[]) {
    const { insertion } = this.#context;
    return evaluateValues(session, this.#table, {
      ...writing(this.#context),
      columns,
      rows: rows.map(({ key, values }) => ({
        key: insertion ? this.#copyKey(columns, values) : key,
        values,
      })),
      constraints: this.#constraints,
    });
  }

  /** What identifies the row in the other table. */
  #copyKey(columns: readonly BackfillColumn[], values: Candidate['values']): Key {
    return this.#table.key.map(
      ({ name }) => values[columns.findIndex((column) => column.name === name)] ?? '',
    );
  }

  /** In the order in which the server looks: conditions, unique indexes, foreign keys. */
  #refusalOf(key: Key, { violated, identities, taken }: Omit<EvaluatedValues, 'place'>) {
    const { conditions, uniques } = this.#constraints;
    const broken = violated.flatMap((number) => conditions[number] ?? []);
    const check = broken.find(({ kind }) => kind === 'check');
    if (check) return this.#refuse(key, check.kind, check.name);
    const duplicate = uniques.find(({ name }, i) => taken[i] || this.#seen.has(name, identities[i] ?? null));
    if (duplicate) return this.#refuse(key, 'unique', duplicate.name);
    const [foreignKey] = broken;
    if (foreignKey) return this.#refuse(key, foreignKey.kind, foreignKey.name);
    for (const [i, { name }] of uniques.entries()) this.#seen.add(name, identities[i] ?? null);
    return undefined;
  }

  #refuse(key: Key, kind: keyof typeof REFUSALS, constraint: string) {
    this.#findings.violated(kind, constraint, key);
    const { sqlstate, words } = REFUSALS[kind];
    return { sqlstate, reason: `${words(this.#table.qualifiedName)} "${constraint}"` };
  }
}

function byColumns(candidates: readonly Candidate[]): Candidate[][] {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const id = JSON.stringify(candidate.columns.map(({ name }) => name));
    const group = groups.get(id) ?? [];
    group.push(candidate);
    groups.set(id, group);
  }
  return [...groups.values()];
}

const KEPT_WHOLE = new Set(['json', 'array', 'bytea', 'boolean']);

function mayLose({ kind }: BackfillColumn): boolean {
  return !KEPT_WHOLE.has(kind);
}

function isText({ castType }: BackfillColumn): boolean {
  return ['text', 'character varying', 'character', 'citext', 'name'].includes(castType);
}
