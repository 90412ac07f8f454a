import type { RunEvent } from '../api/schemas/events.ts';
import type { RunDetail } from '../api/schemas/runs.ts';
import type { QueryResult } from '../contracts/activities.ts';
import type { Plan } from '../domain/plan.ts';

export type FlagSetting = {
  flag: string;
  percentage: number;
  enabled: boolean;
  /** When it was set, in milliseconds since the epoch. */
  since: number;
};

/** What is known of a run: as the API last told it, and what only its events tell. */
export type RunView = {
  run: RunDetail;
  /** The version that the run is pinned to; tells how long its holds are. */
  plan?: Plan | undefined;
  flag?: FlagSetting | undefined;
  validation?: QueryResult[] | undefined;
};

/** Takes from an event what the run itself does not say. */
export function readEvent(view: Omit<RunView, 'run'>, event: RunEvent): void {
  if (event.type === 'flag') {
    const setting = event.data as Omit<FlagSetting, 'since'>;
    view.flag = { ...setting, since: Date.parse(event.at) };
  }
  if (event.type === 'validation') view.validation = event.data.queries as QueryResult[];
}
