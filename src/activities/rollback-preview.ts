import type { RollbackPreviewInput, RollbackStep } from '../contracts/runs.ts';
import type {
  BackfillPhase,
  BackupPhase,
  Phase,
  RolloutPhase,
  SchemaPhase,
  SyncPhase,
} from '../domain/plan.ts';
import { plural } from '../domain/plural.ts';
import { undoOrder } from '../domain/undo-order.ts';
import { previewUndo } from '../engine/undo/preview.ts';
import { createTableFlagStore } from '../flags/table-flag-store.ts';
import { upState } from '../targets/postgres/applied-statements.ts';
import { listBackups } from '../targets/postgres/backup.ts';
import { selectSync } from '../targets/postgres/sync/records.ts';
import type { Session, Target } from '../targets/target.ts';
import { type Dependencies, targetNamed } from './dependencies.ts';
import { whileHeartbeating } from './heartbeat.ts';

/** Whoever asks waits for the answer. */
const COMPARING_MS = 30_000;
const STATEMENT_MS = 20_000;

export function rollbackPreviewActivities(dependencies: Dependencies) {
  return {
    previewRollback: (input: RollbackPreviewInput): Promise<RollbackStep[]> =>
      whileHeartbeating(async (signal) => {
        const preview = new Preview(dependencies, input, signal);
        const begun = input.plan.phases.filter(({ name }) => input.begun.includes(name));
        const steps: RollbackStep[] = [];
        for (const phase of undoOrder(begun)) steps.push(await preview.step(phase));
        return steps;
      }),
  };
}

type Found = { action: string } & Partial<Pick<RollbackStep, 'statements' | 'rows'>>;

class Preview {
  readonly #dependencies: Dependencies;
  readonly #target: Target;
  readonly #input: RollbackPreviewInput;
  readonly #signal: AbortSignal;

  constructor(dependencies: Dependencies, input: RollbackPreviewInput, signal: AbortSignal) {
    this.#dependencies = dependencies;
    this.#target = targetNamed(dependencies, input.target);
    this.#input = input;
    this.#signal = signal;
  }

  async step(phase: Phase): Promise<RollbackStep> {
    const { action, statements = [], rows = null } = await this.#look(phase);
    return { phase: phase.name, kind: phase.kind, action, statements, rows };
  }

  #look(phase: Phase): Promise<Found> {
    switch (phase.kind) {
      case 'rollout':
        return this.#rollout(phase);
      case 'sync':
        return this.#sync(phase);
      case 'backfill':
        return this.#backfill(phase);
      case 'backup':
        return this.#backup(phase);
      case 'schema':
        return this.#schema(phase);
      default:
        return Promise.resolve({ action: 'nothing to undo' });
    }
  }

  async #rollout({ flag }: RolloutPhase): Promise<Found> {
    const store = createTableFlagStore(this.#target, flag.table, { signal: this.#signal });
    const state = await store.read(flag.name);
    if (!state) return { action: `nothing: there is no flag ${flag.name} in ${flag.table}` };
    const { enabled, percentage } = state;
    return {
      action: `set ${flag.name} to 0 % and disable it (now at ${percentage} %${enabled ? '' : ', disabled'})`,
    };
  }

  async #sync({ name, backfill }: SyncPhase): Promise<Found> {
    const sync = await this.#read((session) => selectSync(session, this.#input.runId, name));
    return { action: sync?.installed ? `remove the sync of "${backfill}"` : 'nothing: no sync is installed' };
  }

  async #backfill(phase: BackfillPhase): Promise<Found> {
    if (phase.undo.kind === 'none') return { action: 'leave the rows as they are, as the plan says' };
    const { runId, countKept } = this.#input;
    const rows = await previewUndo(
      this.#target,
      { runId, phase, transforms: this.#dependencies.transforms },
      { countKept, signal: this.#signal, untilMs: COMPARING_MS, statementTimeoutMs: STATEMENT_MS },
    );
    if (!rows) return { action: 'nothing: no row was migrated' };
    const table = phase.transform.kind === 'insert' ? phase.transform.into : phase.table;
    const how = phase.undo.kind === 'sql' ? " by the plan's own statement" : '';
    return {
      action: `restore ${rows.exact ? '' : 'about '}${plural(rows.rows, 'row')} of ${table}${how}`,
      statements: phase.undo.kind === 'sql' ? [phase.undo.statement] : [],
      rows,
    };
  }

  async #backup({ tables, onRollback }: BackupPhase): Promise<Found> {
    if (onRollback === 'keep') return { action: 'keep the backups, as the plan says' };
    const made = await this.#read((session) => listBackups(session, this.#input.runId));
    const own = made.filter((backup) => tables.some(({ table }) => table === backup.table));
    if (own.length === 0) return { action: 'nothing: no backup was made' };
    return {
      action: `drop ${own.map(({ backup, rows }) => `${backup} (${plural(rows, 'row')})`).join(', ')}`,
    };
  }

  async #schema({ name, down }: SchemaPhase): Promise<Found> {
    const applied = await this.#read((session) => upState(session, this.#input.runId, name));
    if (applied === 'none') return { action: 'nothing: the schema was not changed' };
    const partly = applied === 'part' ? ', as far as the way up had come' : '';
    return { action: `apply ${plural(down.length, 'statement')}${partly}`, statements: down };
  }

  #read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const options = { readOnly: true, statementTimeoutMs: STATEMENT_MS, signal: this.#signal };
    return this.#target.transaction(options, work);
  }
}
