import type { Plan } from '../domain/plan.ts';

export type Row = Record<string, unknown>;

export type QueryResult<T = Row> = {
  rows: T[];
  rowCount: number;
  /** Names of the columns in their order. Two of the same name are one property of a row: the last. */
  columns: string[];
};

/** One connection, for as long as the work that it was lent to. */
export interface Session {
  /** Runs one statement with positional parameters. */
  query<T = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<T>>;
  /** Aborts when the work is no longer wanted; for work between statements that would not hear of it. */
  readonly signal?: AbortSignal | undefined;
}

export type SessionOptions = {
  /** Aborting cancels the statement that is running on the server, and the work rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  lockTimeoutMs?: number | undefined;
  statementTimeoutMs?: number | undefined;
};

export type TransactionOptions = SessionOptions & {
  readOnly?: boolean | undefined;
  /** Statements without parameters to run first, in the round trip that begins the transaction. */
  prelude?: string | undefined;
};

/** A connection that is held for many transactions. */
export interface HeldSession extends Session {
  /** As {@link Target.transaction}, under the options with which the connection was lent. */
  transaction<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

/** A configured connection to a database that plans may change. Never shares a pool with the control database. */
export interface Target {
  readonly name: Plan['target'];
  readonly dialect: 'postgres';
  /** Most lanes that may work on its rows at once, those of all runs and workers together. */
  readonly budget: number;
  /** Lends a connection outside of any transaction, for statements that refuse to run inside one. */
  session<T>(options: SessionOptions, work: (session: Session) => Promise<T>): Promise<T>;
  /** Lends a connection for many transactions, one after another; between them nothing of it is kept. */
  hold<T>(options: TransactionOptions, work: (held: HeldSession) => Promise<T>): Promise<T>;
  /** Runs the work in one READ COMMITTED transaction; commits when it resolves, rolls back when it rejects. */
  transaction<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export type Column = {
  name: string;
  /** Type as the database spells it, with its modifiers: `numeric(10,2)`, `jsonb`. */
  type: string;
  nullable: boolean;
  generated: boolean;
};

/** What the catalog says about a table. */
export type TableShape = {
  /** Name with its schema, quoted for use in SQL. */
  qualifiedName: string;
  columns: Column[];
  /** Columns of the primary key in its order; else of the first unique index over NOT NULL columns only; else empty. */
  key: string[];
  /** The planner's estimate of the number of rows; null when the table was never analysed. */
  estimatedRows: number | null;
};
