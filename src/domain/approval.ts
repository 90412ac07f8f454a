import type { ApprovalPhase } from './plan.ts';
import type { Role } from './role.ts';

/** Who gives a command: the name of the token's holder and its role. */
export type Actor = { name: string; role: Role };

/** Does the phase name this person, or their role, among those who decide it? */
export function isAmongApprovers(phase: Pick<ApprovalPhase, 'roles' | 'people'>, actor: Actor): boolean {
  return phase.roles.some((role) => role === actor.role) || phase.people.includes(actor.name);
}

/** Why this person may not approve (or reject) this phase, or undefined when they may. */
export function approvalRefusal(
  phase: Pick<ApprovalPhase, 'roles' | 'people' | 'allowStarter' | 'name'>,
  actor: Actor,
  startedBy: string,
  approvedBy: readonly string[],
): string | undefined {
  if (!isAmongApprovers(phase, actor)) {
    const who = [...phase.roles.map((role) => `role ${role}`), ...phase.people].join(', ');
    return `"${phase.name}" is approved by ${who}; ${actor.name} has role ${actor.role}`;
  }
  if (!phase.allowStarter && actor.name === startedBy) {
    return `${actor.name} started the run, and "${phase.name}" wants another person's approval`;
  }
  if (approvedBy.includes(actor.name)) return `${actor.name} has already approved "${phase.name}"`;
  return undefined;
}
