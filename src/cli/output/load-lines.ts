import type { Phase } from '../../api/schemas/runs.ts';
import { formatMs } from '../../domain/duration.ts';
import { padEnd, type Style, textWidth } from './style.ts';

type Progress = NonNullable<Phase['progress']>;

/**
 * What holds a backfill back, and a line for each signal that is watched.
 * @param compact leaves the signals out.
 */
export function loadLines(style: Style, { limiter, signals }: Progress, compact: boolean): string[] {
  const width = Math.max(0, ...signals.map(({ signal }) => textWidth(signal)));
  return [
    ...(limiter ? [style.yellow(limiter.why)] : []),
    ...(compact ? [] : signals).map(
      ({ signal, zone, reason }) =>
        `${style.dim(padEnd(signal, width))}  ${padEnd(zoneText(style, zone), 7)}  ${style.dim(reason)}`,
    ),
  ];
}

function zoneText(style: Style, zone: Progress['signals'][number]['zone']): string {
  if (zone === 'easy' || zone === 'steady') return style.green(zone);
  return zone === 'near' ? style.yellow(zone) : style.red(zone);
}

/** `1m 10s to 1m 40s to go`; empty when nobody knows, or the time has come. */
export function etaText({ eta }: Progress, now: number): string {
  if (!eta) return '';
  const [low, high] = [eta.low, eta.high].map((instant) => Date.parse(instant) - now) as [number, number];
  if (high <= 0) return '';
  const [soonest, latest] = [formatMs(Math.max(0, low)), formatMs(high)];
  return soonest === latest ? `${latest} to go` : `${low <= 0 ? '' : `${soonest} to `}${latest} to go`;
}
