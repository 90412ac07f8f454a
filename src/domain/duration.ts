const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** A length of time as plans write it: a whole number and a unit, such as `500ms`, `30s`, `5m`, `24h`, `7d` or `2w`. */
export type Duration = `${number}${keyof typeof UNIT_MS}`;

export const DURATION_PATTERN = /^(\d+)(ms|s|m|h|d|w)$/;

/**
 * Milliseconds of a duration.
 * @throws RangeError when the text is no duration.
 */
export function durationMs(duration: string): number {
  const match = DURATION_PATTERN.exec(duration);
  if (!match)
    throw new RangeError(
      `"${duration}" is not a duration; write a number and ms, s, m, h, d or w, as in "24h"`,
    );
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}

/**
 * Milliseconds that a duration takes in a run whose holds are shortened.
 * @param timeScale how many times faster than real time the run goes; 1 is real time.
 */
export function scaledMs(duration: string, timeScale: number): number {
  return Math.ceil(durationMs(duration) / timeScale);
}

/** A span of milliseconds in words, in its two largest units: `2d 4h`, `1m 30s`, `0.8s`. */
export function formatMs(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)}s`;
  const parts: string[] = [];
  let rest = ms;
  for (const unit of ['w', 'd', 'h', 'm', 's'] as const) {
    const count = Math.floor(rest / UNIT_MS[unit]);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * UNIT_MS[unit];
    if (parts.length === 2) break;
  }
  return parts.join(' ');
}
