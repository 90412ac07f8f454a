import type { DevServer } from '../dev-server.ts';
import type { Style } from './style.ts';
import { facts } from './table.ts';

/** Where everything of a dev stack is. */
export function serverLines(style: Style, server: DevServer): string[] {
  return facts(style, [
    ['API', style.cyan(server.apiUrl)],
    ['API documentation', style.cyan(`${server.apiUrl}/api/docs`)],
    ['Temporal Web UI', server.webUiUrl && style.cyan(server.webUiUrl)],
    ['Target "app"', server.appUrl],
    ['Admin token', server.tokens.find(({ role }) => role === 'admin')?.token],
    ['Log', server.logFile],
  ]);
}
