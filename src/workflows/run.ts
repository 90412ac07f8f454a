import {
  CancellationScope,
  condition,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { NoteRecord, PhaseRecord } from '../contracts/activities.ts';
import type { MigrationInput, RunState } from '../contracts/runs.ts';
import { searchAttribute } from '../contracts/search-attributes.ts';
import type { Actor } from '../domain/approval.ts';
import type { Phase } from '../domain/plan.ts';
import { nextStatus, type RunCommand, type RunEvent, type RunStatus } from '../domain/run-state.ts';
import { control } from './activities.ts';
import { CommandRelay } from './command-relay.ts';
import { Syncs } from './syncs.ts';

type PhaseEntry = RunState['phases'][number];

/**
 * A run as its workflow knows it. State changes at once and synchronously, so that validators always judge the present;
 * the records of it are written to the control database one after the other, in the order in which they happened.
 */
export class Run {
  readonly input: MigrationInput;
  /** To the workflow of the present phase. */
  readonly commands = new CommandRelay();
  readonly syncs = new Syncs();
  status: RunStatus = 'pending';
  reason: string | undefined;
  phase: Phase | undefined;
  /** Work of the present phase; cancelled when the run has to be undone. */
  work: CancellationScope | undefined;
  /** Set once the run has to be undone. */
  undoReason: string | undefined;
  /** Who decided that; nobody when a gate, a failure or a deadline did. */
  undoneBy: Actor | undefined;
  pastPointOfNoReturn: string | undefined;
  /** Why the run has to be held as soon as it runs. */
  #drift: string | undefined;
  /** Who has approved the present approval phase. */
  approvedBy: string[] = [];
  readonly fullyRolledOutAt: Record<string, number> = {};
  /** Connections that people have given backfills instead of the plan's parallelism, by phase. */
  readonly connections: Record<string, number> = {};
  /** Phases that have begun, in order. */
  readonly begun: Phase[] = [];
  private readonly entries: PhaseEntry[];
  private records = 0;
  private written: Promise<void> = Promise.resolve();

  constructor(input: MigrationInput) {
    this.input = input;
    this.entries = input.plan.phases.map(({ name, kind }) => ({ name, kind, state: 'pending' }));
  }

  state(): RunState {
    return {
      runId: this.input.runId,
      status: this.status,
      reason: this.reason,
      phaseKind: this.phase?.kind,
      pastPointOfNoReturn: this.pastPointOfNoReturn,
      phases: this.entries,
    };
  }

  /** Moves the run by the table of `domain/run-state.ts`; false when the table does not allow it. */
  apply(on: RunCommand | RunEvent, reason?: string): boolean {
    const next = nextStatus(this.status, on);
    if (next === undefined) return false;
    this.status = next;
    this.reason = reason;
    this.show();
    const phase = this.phase?.name ?? null;
    this.write((key) =>
      control(`Record that the run is ${next}`).recordStatus({
        runId: this.input.runId,
        status: next,
        reason: reason ?? null,
        phase,
        key,
      }),
    );
    return true;
  }

  /** Nothing of the plan goes on until a person has decided. */
  get stopped(): boolean {
    return this.status === 'paused' || this.status === 'held';
  }

  /** Holds the run where it is; one that is paused or waits for people already is held once it runs again. */
  async holdForDrift(reason: string): Promise<void> {
    this.#drift = reason;
    await this.holdIfDrifted();
  }

  async holdIfDrifted(): Promise<void> {
    if (this.#drift === undefined || !this.apply('drift_hold', this.#drift)) return;
    this.#drift = undefined;
    await this.commands.forward({ kind: 'pause' });
  }

  /** Resolves when the plan may go on, or has to be undone. */
  async untilGoing(): Promise<void> {
    await this.holdIfDrifted();
    await condition(() => !this.stopped);
  }

  /** Decides that everything is undone, and stops the work under way. */
  beginUndo(on: 'must_undo' | 'rollback' | 'reject', reason: string, by?: Actor): void {
    if (!this.apply(on, reason)) return;
    this.undoReason = reason;
    this.undoneBy = by;
    this.work?.cancel();
  }

  recordPhase(phase: Phase, state: PhaseRecord['state'], summary: string | null = null): void {
    const entry = this.entries.find(({ name }) => name === phase.name);
    if (entry) Object.assign(entry, { state, summary: summary ?? undefined });
    this.show();
    this.write((key) =>
      control(`Record that ${phase.name} is ${state}`).recordPhase({
        runId: this.input.runId,
        phase: phase.name,
        state,
        summary,
        key,
      }),
    );
  }

  recordNote(note: Pick<NoteRecord, 'type' | 'message' | 'data'>): void {
    const phase = this.phase?.name ?? null;
    this.write((key) =>
      control(`Record ${note.type}: ${note.message}`).recordNote({
        ...note,
        runId: this.input.runId,
        phase,
        key,
      }),
    );
  }

  /** Resolves when everything up to now is in the control database. */
  recorded(): Promise<void> {
    return this.written;
  }

  private write(record: (key: string) => Promise<void>): void {
    this.records += 1;
    const key = `${workflowInfo().runId}/${this.records}`;
    // Also what follows a cancellation of the workflow has to be told.
    this.written = this.written.then(() => CancellationScope.nonCancellable(() => record(key)));
  }

  private show(): void {
    upsertSearchAttributes([
      { key: searchAttribute.status, value: this.status },
      {
        key: searchAttribute.phase,
        value: this.phase?.name ?? (this.begun.length === 0 ? 'preflight' : null),
      },
    ]);
    const rows = this.entries.map(
      ({ name, kind, state, summary }) => `| ${name} | ${kind} | ${state} | ${summary ?? ''} |`,
    );
    const why = this.reason ? `: ${this.reason}` : '';
    const text = [
      `**${this.status}**${why}`,
      '',
      '| phase | kind | state | summary |',
      '|---|---|---|---|',
      ...rows,
    ].join('\n');
    // The server refuses more than 20,000 bytes.
    setCurrentDetails(text.slice(0, 15_000));
  }
}
