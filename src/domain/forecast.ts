import type { NumberRange } from './number-range.ts';

/*
 * What a backfill will cost, from what can be measured without writing. The bytes follow from how PostgreSQL lays rows,
 * index entries and WAL records out (src/include/access/htup_details.h, heapam_xlog.h, nbtxlog.h, xlogrecord.h). The times
 * are CPU times of a backend of PostgreSQL 18 on an AMD EPYC, by `npm run bench -- forecast`, in microseconds; a
 * calibration query says how much slower or faster the target is. `npm run bench -- forecast` compares it with what backfills take.
 */

const PAGE = 8_192;
/** Room for rows on an empty page: without its header. */
const ROOM = PAGE - 24;
const ITEM_POINTER = 4;
/** Of a row: the part before its columns that WAL does not hold. */
const ROW_HEADER = 23;

/** Record header, one block reference with its relation, and the header of the data. */
const RECORD = 24 + 20 + 2;
const WAL = {
  /** The old version is marked before its page is let go, as the new one goes elsewhere. */
  lock: RECORD + 8,
  /** The new version on another page: a second block reference, and the header of its row. */
  update: RECORD + 8 + 14 + 5,
  /** On the same page only what differs is kept, between what the two versions have in common. */
  hotUpdate: RECORD + 14 + 5 + 4,
  insert: RECORD + 3 + 5,
  indexInsert: RECORD + 2,
  /** A batch's range, its commit, and what opening it costs. */
  batch: 600,
};

/** Microseconds on the machine that they were measured on. */
const TIME = {
  /** Find the row, write its new version to the same page. */
  row: 1.1,
  /** Write it to another page instead. */
  move: 0.6,
  insertRow: 0.9,
  /** An index entry next to the one before it. */
  nextEntry: 1.1,
  /** One anywhere in the index. */
  randomEntry: 4,
  journalRow: 1.2,
  /** Going to and fro between pages, where keys come in another order than rows lie. */
  scattered: 0.8,
  /** Trying to compress what is too long for a page. */
  longByte: 0.005,
  walByte: 0.0033,
  /** Reading, passing on and taking back a row of a TypeScript transform, beside the transform itself. */
  throughNode: 4,
  batch: 1_000,
};

/** Round trips of a batch. */
const BATCH_ROUND_TRIPS = 5;
/** Of p connections that work at once: 1.75 times as fast with 2 (docs/benchmarks.md). */
const PARALLEL_EXPONENT = 0.8;
/** The factors between which the truth is expected, around the middle. */
const SPREAD = { time: 1.6, wal: 1.3, disk: 1.35 };
/** So much of what an index grows by is logged: the right half of each page that is split. */
const SPLIT_SHARE = 0.5;
/** Where pages are visited by several batches, so many of the rows that find no room at first find some later. */
const REVISITED = 0.9;
/** A chunk of a long value is logged with its header, and so is its index entry. */
const TOAST_LOGGED = 1.06;
/** Cutover's own tables, before a row is journalled. */
const OWN_TABLES = 400_000;
/** With wal_compression page images take about so much of their size (lz4, zstd and pglz differ little here). */
const COMPRESSED_IMAGE = 0.5;

/** An index that gets an entry for a row that is written. */
export type IndexFacts = {
  /** Of one row, as the index is now. */
  bytesPerRow: number;
  pages: number;
  /** Its entries come in the order in which the backfill goes through the rows. */
  inKeyOrder: boolean;
  /** It holds a column that is written, so that each new version of a row needs an entry. */
  isWritten: boolean;
};

export type ForecastFacts = {
  /** Rows that are read, whether or not they are written. */
  read: number;
  /** Rows that are written. */
  written: NumberRange;
  /** Of one row that is read, with the plan's conditions and expressions; as measured on the target. */
  readMicros: number;
  /** Of one row in a TypeScript transform; 0 for SQL. */
  transformMicros: number;
  kind: 'update' | 'insert';
  table: {
    pages: number;
    rows: number;
    /** How far the order of the keys is that of the rows on the pages, 0 to 1. */
    correlation: number;
  };
  /** Of a row, as it is and as it will be, with its header. */
  rowBytes: number;
  newRowBytes: number;
  /** Of the values that are written. */
  writtenBytes: number;
  /** Of long values of a row that are kept apart, which depends on how well they can be compressed. */
  toastBytes: NumberRange;
  /** The same before anything is compressed. */
  longBytes: number;
  indexes: readonly IndexFacts[];
  /** What is kept of a row for undo: bytes of its key and of the old values; undefined without journal. */
  journal?: { keyBytes: number; valueBytes: number } | undefined;
  /** The old version is locked by a statement of its own before it is written. */
  locksFirst: boolean;
  batch: { rows: number; roundTripMicros: number };
  parallelism: number;
  server: {
    /** How many times as long as on the reference machine it takes to compute. */
    slowness: number;
    fullPageWrites: boolean;
    walCompression: boolean;
    /** In bytes and seconds. */
    maxWalSize: number;
    checkpointTimeout: number;
  };
};

export type Forecast = {
  seconds: NumberRange;
  walBytes: NumberRange;
  diskBytes: NumberRange;
  /** Bytes of disk by where they go, in the middle of the range. */
  diskBy: { table: number; indexes: number; journal: number };
  /** Share of the rows whose new version stays on its page and needs no index entry. */
  hotShare: number;
};

/** Between what a backfill will take: time at full speed, without throttling and closed windows; WAL; and disk. */
export function forecast(facts: ForecastFacts): Forecast {
  const few = costOf(facts, facts.written.low, facts.toastBytes.low);
  const many = costOf(facts, facts.written.high, facts.toastBytes.high);
  return {
    seconds: spread(few.seconds, many.seconds, SPREAD.time),
    walBytes: spread(few.walBytes, many.walBytes, SPREAD.wal),
    diskBytes: spread(total(few.diskBy), total(many.diskBy) + OWN_TABLES, SPREAD.disk),
    diskBy: many.diskBy,
    hotShare: many.hotShare,
  };
}

function spread(few: number, many: number, factor: number): NumberRange {
  return { low: few / factor, high: many * factor };
}

function total({ table, indexes, journal }: Forecast['diskBy']): number {
  return table + indexes + journal;
}

function costOf(facts: ForecastFacts, rows: number, toastBytes: number) {
  const hotShare = facts.kind === 'insert' ? 0 : hotShareOf(facts, rows);
  const moved = rows * (1 - hotShare);
  const growth = growthOf(facts, rows, moved, toastBytes);
  // What a run writes decides how many checkpoints it sees, after each of which pages are logged whole once more.
  let walBytes = walOf(facts, rows, moved, growth, 1);
  let seconds = secondsOf(facts, rows, moved, walBytes);
  const { maxWalSize, checkpointTimeout } = facts.server;
  const checkpoints = 1 + Math.max(walBytes / maxWalSize, seconds / checkpointTimeout);
  walBytes = walOf(facts, rows, moved, growth, checkpoints);
  seconds = secondsOf(facts, rows, moved, walBytes);
  const diskBy = {
    table: growth.table + growth.toast,
    indexes: growth.indexes,
    journal: growth.journal + growth.journalIndex,
  };
  return { seconds, walBytes, diskBy, hotShare };
}

/**
 * A new version stays on its page where no index holds what changes and there is room: what the page has free, and, where a
 * page is visited by several batches, what the versions that earlier ones replaced have left.
 */
function hotShareOf({ table, newRowBytes, indexes, batch }: ForecastFacts, rows: number): number {
  if (indexes.some(({ isWritten }) => isWritten) || table.pages === 0) return 0;
  const perPage = table.rows / table.pages;
  const due = perPage * Math.min(1, rows / Math.max(table.rows, 1));
  const free = Math.max(0, ROOM - perPage * (aligned(newRowBytes) + ITEM_POINTER));
  const fit = Math.floor(free / (aligned(newRowBytes) + ITEM_POINTER));
  const inPlace = Math.min(1, fit / Math.max(due, 1));
  const revisited = 1 - Math.min(1, table.correlation);
  const batches = Math.max(1, rows / batch.rows);
  return Math.min(1, inPlace + (1 - inPlace) * revisited * (1 - 1 / batches) * REVISITED);
}

function growthOf(facts: ForecastFacts, rows: number, moved: number, toastBytes: number) {
  const { journal, newRowBytes, indexes } = facts;
  const kept = journal ? ROW_HEADER + 1 + aligned(journal.keyBytes + journal.valueBytes) + ITEM_POINTER : 0;
  const key = journal ? (8 + aligned(journal.keyBytes) + ITEM_POINTER) / 0.9 : 0;
  return {
    table: moved * perRowOnPage(newRowBytes),
    toast: rows * toastBytes,
    indexes: moved * indexes.reduce((sum, { bytesPerRow }) => sum + bytesPerRow, 0),
    journal: journal ? rows * kept : 0,
    journalIndex: journal ? rows * key : 0,
  };
}

/** Rows are kept whole, so that large ones leave room that nothing uses. */
function perRowOnPage(bytes: number): number {
  const row = aligned(bytes) + ITEM_POINTER;
  return row >= ROOM ? row : PAGE / Math.floor(ROOM / row);
}

function walOf(
  facts: ForecastFacts,
  rows: number,
  moved: number,
  growth: ReturnType<typeof growthOf>,
  checkpoints: number,
): number {
  const { kind, newRowBytes, writtenBytes, indexes, journal, locksFirst, batch } = facts;
  const columns = Math.max(0, newRowBytes - ROW_HEADER);
  const hot = rows - moved;
  const changed = Math.min(columns, writtenBytes + 8);
  const perMove = kind === 'insert' ? WAL.insert + columns : aligned(WAL.lock) + WAL.update + columns;
  const entries = indexes.reduce(
    (sum, { bytesPerRow }) => sum + aligned(WAL.indexInsert + bytesPerRow * 0.8),
    0,
  );
  const journalled = journal
    ? aligned(WAL.insert + journal.keyBytes + journal.valueBytes) +
      aligned(WAL.indexInsert + 8 + aligned(journal.keyBytes))
    : 0;
  return (
    moved * (aligned(perMove) + entries) +
    growth.toast * TOAST_LOGGED +
    hot * aligned(WAL.hotUpdate + changed) +
    (locksFirst ? rows * aligned(WAL.lock) : 0) +
    rows * journalled +
    SPLIT_SHARE * growth.indexes +
    (rows / batch.rows) * WAL.batch +
    imagesOf(facts, rows, moved, checkpoints)
  );
}

/** Pages are logged whole when they are first changed after a checkpoint; new ones are not. */
function imagesOf(facts: ForecastFacts, rows: number, moved: number, checkpoints: number): number {
  const { server, table, rowBytes, kind, indexes } = facts;
  if (!server.fullPageWrites) return 0;
  const perPage = Math.max(1, table.rows / Math.max(table.pages, 1));
  const share = Math.min(1, rows / Math.max(table.rows, 1));
  const touched = table.pages * (1 - (1 - share) ** perPage);
  // Out of order the same page comes again and again; in order it comes once.
  const again = 1 + (1 - Math.min(1, table.correlation)) * (checkpoints - 1);
  const used = Math.min(PAGE, 24 + perPage * (aligned(rowBytes) + ITEM_POINTER));
  const heap = kind === 'insert' && !facts.locksFirst ? 0 : Math.min(rows, touched * again) * used;
  const entries = indexes.reduce((sum, { pages, inKeyOrder }) => {
    if (pages === 0) return sum;
    // Entries next to each other change a page once; those anywhere change all of them in each cycle that is long enough.
    const changed = inKeyOrder
      ? pages * share
      : pages * (1 - Math.exp(-moved / checkpoints / pages)) * checkpoints;
    return sum + Math.min(moved, changed) * PAGE;
  }, 0);
  return (heap + entries) * (server.walCompression ? COMPRESSED_IMAGE : 1);
}

function secondsOf(facts: ForecastFacts, rows: number, moved: number, walBytes: number): number {
  const { indexes, journal, kind, server, batch, table, longBytes, transformMicros, readMicros } = facts;
  const entries = indexes.reduce(
    (sum, { inKeyOrder }) => sum + (inKeyOrder ? TIME.nextEntry : TIME.randomEntry),
    0,
  );
  const writing =
    rows * (kind === 'insert' ? TIME.insertRow : TIME.row) +
    rows * (1 - Math.min(1, table.correlation)) * TIME.scattered +
    rows * longBytes * TIME.longByte +
    moved * ((kind === 'insert' ? 0 : TIME.move) + entries) +
    (journal ? rows * (TIME.journalRow + TIME.nextEntry) : 0) +
    (transformMicros > 0 ? rows * TIME.throughNode : 0) +
    walBytes * TIME.walByte +
    (rows / batch.rows) * TIME.batch;
  const database = facts.read * readMicros + writing * server.slowness;
  const waiting = (Math.max(facts.read, rows) / batch.rows) * BATCH_ROUND_TRIPS * batch.roundTripMicros;
  // A transform computes while the database writes; the slower of the two decides.
  const busy = Math.max(database, rows * transformMicros);
  return (busy + waiting) / 1e6 / facts.parallelism ** PARALLEL_EXPONENT;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
