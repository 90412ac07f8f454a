import { median } from '../support/report.ts';

/** A way to judge what has been counted so far. */
export type Method<T> = { name: string; isAlarmed: (soFar: T) => boolean };

/** Per method and run, the number of the look (from 1) at which the alarm was given; Infinity for none. */
export type Alarms = Map<string, number[]>;

/**
 * Goes through all looks of many runs, and asks every method at every look until it has given its alarm.
 * @param looks what has been counted at the looks of one run; may be the same object each time.
 */
export function firstAlarms<T>(
  runs: number,
  methods: readonly Method<T>[],
  looks: () => Iterable<T>,
): Alarms {
  const alarms: Alarms = new Map(methods.map(({ name }) => [name, []]));
  for (let run = 0; run < runs; run++) {
    const waiting = new Set(methods);
    let look = 0;
    for (const soFar of looks()) {
      look++;
      for (const method of waiting) {
        if (!method.isAlarmed(soFar)) continue;
        alarms.get(method.name)?.push(look);
        waiting.delete(method);
      }
      if (waiting.size === 0) break;
    }
    for (const { name } of waiting) alarms.get(name)?.push(Number.POSITIVE_INFINITY);
  }
  return alarms;
}

/** Share of the runs in which there was an alarm. */
export function alarmRate(alarms: Alarms, method: string): number {
  const looks = looksOf(alarms, method);
  return looks.filter((look) => Number.isFinite(look)).length / looks.length;
}

/** Look at which half of the runs had given an alarm; Infinity when fewer did. */
export function medianLook(alarms: Alarms, method: string): number {
  return median(looksOf(alarms, method));
}

function looksOf(alarms: Alarms, method: string): number[] {
  const looks = alarms.get(method);
  if (!looks) throw new RangeError(`there is no method "${method}" among ${[...alarms.keys()].join(', ')}`);
  return looks;
}
