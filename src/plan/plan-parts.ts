import type { Phase } from '../domain/plan.ts';

/** Stands where a phase is that its schema refused, so that the others are judged in their places. */
export type UnreadablePhase = { kind: 'unreadable'; name: string | undefined };

/** A plan as far as it can be read. */
export type PlanParts = { endpoint?: string | undefined; phases: (Phase | UnreadablePhase)[] };
