/** Most connections that a backfill can be given. */
export const MOST_CONNECTIONS = 64;

/** Why that is no number of connections that a backfill can be given; undefined when it is one. */
export function connectionsRefusal(connections: number | undefined): string | undefined {
  const isOne =
    Number.isInteger(connections) && Number(connections) >= 1 && Number(connections) <= MOST_CONNECTIONS;
  return isOne
    ? undefined
    : `give a whole number of connections from 1 to ${MOST_CONNECTIONS}; to stop the run, pause it`;
}
