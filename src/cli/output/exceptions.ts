import type { RowException } from '../../api/schemas/exceptions.ts';
import type { Style } from './style.ts';
import { table } from './table.ts';

export function exceptionLines(style: Style, exceptions: RowException[]): string[] {
  return table(
    style,
    [{ title: 'row' }, { title: 'kind' }, { title: 'phase' }, { title: 'reason' }],
    exceptions.map((exception) => [
      exception.key.join(', '),
      exception.kind === 'failed' ? style.red(exception.kind) : style.yellow(exception.kind),
      exception.phase,
      exception.reason,
    ]),
  );
}
