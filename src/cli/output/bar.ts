import type { Style } from './style.ts';

const WIDTH = 20;

/** A bar of 20 columns filled to the share, 0 to 1; dimmed throughout when the share is unknown. */
export function bar(style: Style, share: number | undefined): string {
  const filled = share === undefined ? 0 : Math.round(Math.min(1, Math.max(0, share)) * WIDTH);
  return style.cyan('━'.repeat(filled)) + style.dim('─'.repeat(WIDTH - filled));
}
