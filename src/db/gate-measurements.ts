import { asc, desc, eq } from 'drizzle-orm';
import type { ControlDb } from './control-db.ts';
import { gateMeasurements } from './schema.ts';

export type GateMeasurement = typeof gateMeasurements.$inferSelect;

export async function recordMeasurement(
  db: ControlDb,
  measurement: Omit<GateMeasurement, 'at'>,
): Promise<void> {
  await db.query.insert(gateMeasurements).values(measurement).onConflictDoNothing();
}

export function listMeasurements(db: ControlDb, runId: string): Promise<GateMeasurement[]> {
  return db.query
    .select()
    .from(gateMeasurements)
    .where(eq(gateMeasurements.runId, runId))
    .orderBy(asc(gateMeasurements.at), asc(gateMeasurements.gate));
}

/** The latest measurement of each gate of each phase. */
export function latestMeasurements(db: ControlDb, runId: string): Promise<GateMeasurement[]> {
  return db.query
    .selectDistinctOn([gateMeasurements.phase, gateMeasurements.gate])
    .from(gateMeasurements)
    .where(eq(gateMeasurements.runId, runId))
    .orderBy(
      gateMeasurements.phase,
      gateMeasurements.gate,
      desc(gateMeasurements.at),
      desc(gateMeasurements.sequence),
    );
}
