import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ForecastFacts, forecast } from '../../src/domain/forecast.ts';

const FACTS: ForecastFacts = {
  read: 1_000_000,
  written: { low: 1_000_000, high: 1_000_000 },
  readMicros: 1,
  transformMicros: 0,
  kind: 'update',
  table: { pages: 20_000, rows: 1_000_000, correlation: 1 },
  rowBytes: 150,
  newRowBytes: 200,
  writtenBytes: 50,
  toastBytes: { low: 0, high: 0 },
  longBytes: 0,
  indexes: [{ bytesPerRow: 22, pages: 2_700, inKeyOrder: true, isWritten: false }],
  journal: undefined,
  locksFirst: false,
  batch: { rows: 5_000, roundTripMicros: 200 },
  parallelism: 1,
  server: {
    slowness: 1,
    fullPageWrites: true,
    walCompression: false,
    maxWalSize: 1024 ** 3,
    checkpointTimeout: 300,
  },
};

const middle = (facts: Partial<ForecastFacts>) => {
  const { seconds, walBytes, diskBytes } = forecast({ ...FACTS, ...facts });
  const of = ({ low, high }: { low: number; high: number }) => Math.sqrt(low * high);
  return { seconds: of(seconds), wal: of(walBytes), disk: of(diskBytes) };
};

const facts = fc.record<Partial<ForecastFacts>>({
  rowBytes: fc.integer({ min: 28, max: 2_000 }),
  newRowBytes: fc.integer({ min: 28, max: 2_000 }),
  transformMicros: fc.integer({ min: 0, max: 100 }),
  kind: fc.constantFrom('update', 'insert'),
  parallelism: fc.integer({ min: 1, max: 16 }),
  table: fc.record({
    pages: fc.integer({ min: 1, max: 1_000_000 }),
    rows: fc.constant(1_000_000),
    correlation: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
});

describe('a forecast', () => {
  it('is a range whose ends are at most a factor of three apart where the rows are known', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const { seconds, walBytes, diskBytes, hotShare } = forecast({ ...FACTS, ...given });
        for (const { low, high } of [seconds, walBytes]) {
          expect(low).toBeGreaterThan(0);
          expect(high / low).toBeLessThanOrEqual(3);
        }
        expect(diskBytes.low).toBeGreaterThanOrEqual(0);
        expect(diskBytes.high - 3 * diskBytes.low).toBeLessThan(1_000_000);
        expect(hotShare).toBeGreaterThanOrEqual(0);
        expect(hotShare).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('grows with everything that makes a backfill cost more', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const plain = middle(given);
        const another = { bytesPerRow: 40, pages: 5_000, inKeyOrder: false, isWritten: false };
        const dearer: Partial<ForecastFacts>[] = [
          { indexes: [...FACTS.indexes, another] },
          { indexes: [{ ...another, bytesPerRow: 22, pages: 2_700, isWritten: true }] },
          { journal: { keyBytes: 8, valueBytes: 50 } },
          { newRowBytes: (given.newRowBytes ?? 200) + 500 },
          { toastBytes: { low: 2_000, high: 4_000 }, longBytes: 4_000 },
          { written: { low: 2_000_000, high: 2_000_000 } },
          { server: { ...FACTS.server, slowness: 2 } },
          { locksFirst: true },
        ];
        for (const more of dearer) {
          const dear = middle({ ...given, ...more });
          expect(dear.seconds).toBeGreaterThanOrEqual(plain.seconds * 0.999);
          expect(dear.wal).toBeGreaterThanOrEqual(plain.wal * 0.999);
          expect(dear.disk).toBeGreaterThanOrEqual(plain.disk * 0.999);
        }
      }),
    );
  });

  it('knows what WAL is spared by a setting, and what time by connections', () => {
    const { wal, seconds } = middle({});
    expect(middle({ server: { ...FACTS.server, fullPageWrites: false } }).wal).toBeLessThan(wal * 0.8);
    expect(middle({ server: { ...FACTS.server, walCompression: true } }).wal).toBeLessThan(wal);
    const { seconds: two, wal: same } = middle({ parallelism: 2 });
    expect(two).toBeLessThan(seconds / 1.7);
    expect(same).toBeCloseTo(wal, -3);
  });

  it('sees rows stay where they are when pages have room and no index holds what is written', () => {
    const roomy = { table: { ...FACTS.table, pages: 60_000 } };
    expect(forecast({ ...FACTS, ...roomy }).hotShare).toBe(1);
    expect(middle(roomy).disk).toBeLessThan(middle({}).disk / 10);
    const [index] = FACTS.indexes;
    const written = { ...roomy, indexes: index ? [{ ...index, isWritten: true }] : [] };
    expect(forecast({ ...FACTS, ...written }).hotShare).toBe(0);
  });

  it('of no rows to write is what it takes to look for them', () => {
    const { seconds, walBytes, diskBytes } = forecast({ ...FACTS, written: { low: 0, high: 0 } });
    expect(seconds.low).toBeGreaterThan(0.5);
    expect(walBytes.high).toBe(0);
    expect(diskBytes.high).toBeLessThan(1_000_000);
  });
});
