export const RUN_STATUSES = [
  'pending',
  'running',
  'paused',
  'awaiting_approval',
  'held',
  'rolling_back',
  'rollback_held',
  'completed',
  'rolled_back',
  'failed',
  'terminated',
] as const;

/** Where a run stands. The last four are final. */
export type RunStatus = (typeof RUN_STATUSES)[number];

export const FINAL_STATUSES = [
  'completed',
  'rolled_back',
  'failed',
  'terminated',
] as const satisfies RunStatus[];

export function isFinal(status: RunStatus): boolean {
  return (FINAL_STATUSES as readonly RunStatus[]).includes(status);
}

/** What a person (or a service) may ask of a run. */
export const RUN_COMMANDS = [
  'pause',
  'resume',
  'throttle',
  'advance',
  'approve',
  'reject',
  'rollback',
] as const;
export type RunCommand = (typeof RUN_COMMANDS)[number];

/** What happens to a run by itself. */
export type RunEvent =
  | 'start'
  | 'need_approval'
  | 'approved'
  | 'phase_failed_hold'
  | 'drift_hold'
  | 'refuse_preflight'
  | 'must_undo'
  | 'finish'
  | 'undone'
  | 'undo_failed'
  | 'lose_workflow';

type Transition = { on: RunCommand | RunEvent; from: RunStatus[]; to: RunStatus; why: string };

const ALIVE: RunStatus[] = ['running', 'paused', 'awaiting_approval', 'held'];

/** The whole life of a run. Anything that is not listed is refused. */
const TRANSITIONS: Transition[] = [
  { on: 'start', from: ['pending'], to: 'running', why: 'its workflow picked it up' },
  {
    on: 'refuse_preflight',
    from: ['running', 'paused'],
    to: 'failed',
    why: 'preflight found problems before anything was changed',
  },
  {
    on: 'need_approval',
    from: ['running'],
    to: 'awaiting_approval',
    why: 'an approval phase waits for people',
  },
  { on: 'approved', from: ['awaiting_approval'], to: 'running', why: 'enough people approved' },
  {
    on: 'phase_failed_hold',
    from: ['running', 'paused', 'awaiting_approval', 'held'],
    to: 'held',
    why: 'a phase failed and the plan, or a point of no return, leaves the decision to a person',
  },
  {
    on: 'drift_hold',
    from: ['running'],
    to: 'held',
    why: 'rows that a sync keeps equal have drifted, and the plan leaves the decision to a person',
  },
  {
    on: 'must_undo',
    from: ALIVE,
    to: 'rolling_back',
    why: 'a phase failed, a gate was breached or an approval was refused',
  },
  { on: 'undone', from: ['rolling_back'], to: 'rolled_back', why: 'every phase that had begun was undone' },
  {
    on: 'undo_failed',
    from: ['rolling_back'],
    to: 'rollback_held',
    why: 'undoing a phase failed; trying again is for a person to decide',
  },
  { on: 'finish', from: ['running'], to: 'completed', why: 'the last phase ended' },
  {
    on: 'lose_workflow',
    from: ['pending', 'rolling_back', 'rollback_held', ...ALIVE],
    to: 'terminated',
    why: 'its workflow was ended from outside',
  },

  {
    on: 'pause',
    from: ['running'],
    to: 'paused',
    why: 'work stops at a batch border and clocks of holds stop',
  },
  {
    on: 'resume',
    from: ['paused', 'held'],
    to: 'running',
    why: 'goes on where it stopped; a failed phase is tried again',
  },
  { on: 'resume', from: ['rollback_held'], to: 'rolling_back', why: 'the failed undo is tried again' },
  {
    on: 'throttle',
    from: ['running'],
    to: 'running',
    why: 'the backfill under way goes on with more or fewer connections',
  },
  {
    on: 'throttle',
    from: ['paused'],
    to: 'paused',
    why: 'the backfill will go on with more or fewer connections',
  },
  {
    on: 'throttle',
    from: ['held'],
    to: 'held',
    why: 'the failed backfill will be tried again with more or fewer connections',
  },
  {
    on: 'throttle',
    from: ['rolling_back'],
    to: 'rolling_back',
    why: 'the undo of the backfill goes on with more or fewer connections',
  },
  {
    on: 'advance',
    from: ['running'],
    to: 'running',
    why: 'ends the present hold of a rollout stage or soak early',
  },
  {
    on: 'approve',
    from: ['awaiting_approval'],
    to: 'awaiting_approval',
    why: 'one more approval; the phase decides when there are enough',
  },
  { on: 'reject', from: ['awaiting_approval'], to: 'rolling_back', why: 'a person refused the approval' },
  { on: 'rollback', from: ALIVE, to: 'rolling_back', why: 'a person decided to undo the run' },
];

/** The status after the event or command, or undefined when it is not allowed from here. */
export function nextStatus(from: RunStatus, on: RunCommand | RunEvent): RunStatus | undefined {
  return TRANSITIONS.find((transition) => transition.on === on && transition.from.includes(from))?.to;
}

/** What the state machine needs to know of a run to judge a command. */
export type RunSituation = {
  status: RunStatus;
  /** Kind of the present phase, when one is under way. */
  phaseKind?: string | undefined;
  /** Name of the phase, already begun, past which the run cannot be undone. */
  pastPointOfNoReturn?: string | undefined;
};

/** Why the command is refused in this situation, or undefined when it is allowed. */
export function refusal(command: RunCommand, situation: RunSituation): string | undefined {
  const { status, phaseKind, pastPointOfNoReturn } = situation;
  if (nextStatus(status, command) === undefined) {
    const allowed = RUN_COMMANDS.filter((other) => isAllowed(other, situation));
    const instead =
      allowed.length > 0 ? `what it takes now: ${allowed.join(', ')}` : 'it takes no more commands';
    return `the run is ${status.replaceAll('_', ' ')}, so it cannot ${describe(command)}; ${instead}`;
  }
  if (command === 'advance' && !canAdvance(phaseKind)) {
    return `only a rollout stage or a soak can be advanced; the present phase is ${phaseKind ?? 'preflight'}`;
  }
  if (command === 'throttle' && !canThrottle(phaseKind)) {
    return `only a backfill or its verification can be throttled; the present phase is ${phaseKind ?? 'preflight'}`;
  }
  if (undoes(command) && pastPointOfNoReturn !== undefined) {
    return `phase "${pastPointOfNoReturn}" is a point of no return and has begun; the run can only go on`;
  }
  return undefined;
}

function isAllowed(command: RunCommand, { status, phaseKind, pastPointOfNoReturn }: RunSituation): boolean {
  if (nextStatus(status, command) === undefined) return false;
  if (command === 'advance') return canAdvance(phaseKind);
  if (command === 'throttle') return canThrottle(phaseKind);
  return !(undoes(command) && pastPointOfNoReturn !== undefined);
}

function canAdvance(phaseKind: string | undefined): boolean {
  return phaseKind === 'rollout' || phaseKind === 'soak';
}

function canThrottle(phaseKind: string | undefined): boolean {
  return phaseKind === 'backfill' || phaseKind === 'verify';
}

function undoes(command: RunCommand): boolean {
  return command === 'rollback' || command === 'reject';
}

function describe(command: RunCommand): string {
  const words: Record<RunCommand, string> = {
    pause: 'be paused',
    resume: 'be resumed',
    throttle: 'be throttled',
    advance: 'be advanced',
    approve: 'be approved',
    reject: 'be rejected',
    rollback: 'be rolled back',
  };
  return words[command];
}
