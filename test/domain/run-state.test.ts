import { describe, expect, it } from 'vitest';
import { connectionsRefusal } from '../../src/domain/parallelism.ts';
import {
  FINAL_STATUSES,
  isFinal,
  nextStatus,
  RUN_COMMANDS,
  type RunStatus,
  refusal,
} from '../../src/domain/run-state.ts';

describe('run state machine', () => {
  it('lets a final run go nowhere, and says so to every command', () => {
    for (const status of FINAL_STATUSES) {
      expect(isFinal(status)).toBe(true);
      for (const command of RUN_COMMANDS) {
        expect(nextStatus(status, command)).toBeUndefined();
        expect(refusal(command, { status })).toContain('it takes no more commands');
      }
    }
  });

  it('names in a refusal what the run takes now', () => {
    expect(refusal('resume', { status: 'running', phaseKind: 'rollout' })).toBe(
      'the run is running, so it cannot be resumed; what it takes now: pause, advance, rollback',
    );
    expect(refusal('pause', { status: 'awaiting_approval' })).toContain(
      'what it takes now: approve, reject, rollback',
    );
  });

  it('advances only what holds', () => {
    expect(refusal('advance', { status: 'running', phaseKind: 'rollout' })).toBeUndefined();
    expect(refusal('advance', { status: 'running', phaseKind: 'soak' })).toBeUndefined();
    expect(refusal('advance', { status: 'running', phaseKind: 'backfill' })).toContain(
      'the present phase is backfill',
    );
    expect(refusal('advance', { status: 'running' })).toContain('the present phase is preflight');
  });

  it('throttles only what works on rows, also while it is paused, held or undone', () => {
    for (const status of ['running', 'paused', 'held', 'rolling_back'] satisfies RunStatus[]) {
      for (const phaseKind of ['backfill', 'verify'])
        expect(refusal('throttle', { status, phaseKind })).toBeUndefined();
      expect(refusal('throttle', { status, phaseKind: 'schema' })).toContain('the present phase is schema');
    }
    expect(refusal('throttle', { status: 'awaiting_approval', phaseKind: 'backfill' })).toContain(
      'it cannot be throttled',
    );
    expect(connectionsRefusal(64)).toBeUndefined();
    for (const connections of [undefined, 0, -1, 65, 2.5, Number.NaN])
      expect(connectionsRefusal(connections)).toContain('from 1 to 64');
  });

  it('refuses to undo past a point of no return, whatever the state', () => {
    for (const status of ['running', 'paused', 'held'] satisfies RunStatus[]) {
      expect(refusal('rollback', { status, pastPointOfNoReturn: 'cleanup' })).toContain(
        '"cleanup" is a point of no return',
      );
    }
    expect(refusal('reject', { status: 'awaiting_approval', pastPointOfNoReturn: 'cleanup' })).toContain(
      'can only go on',
    );
  });

  it('takes a rollback from every state in which something may have been done and nothing is being undone', () => {
    const allowed = (
      ['pending', 'running', 'paused', 'awaiting_approval', 'held', 'rolling_back', 'rollback_held'] as const
    ).filter((status) => refusal('rollback', { status }) === undefined);
    expect(allowed).toEqual(['running', 'paused', 'awaiting_approval', 'held']);
  });

  it('tries again what failed: the phase when held, the undo when the undo failed', () => {
    expect(nextStatus('held', 'resume')).toBe('running');
    expect(nextStatus('rollback_held', 'resume')).toBe('rolling_back');
  });
});
