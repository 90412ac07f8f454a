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

export type TransactionOptions = SessionOptions & { readOnly?: boolean | undefined };

/** A configured connection to a database that plans may change. Never shares a pool with the control database. */
export interface Target {
  readonly name: Plan['target'];
  readonly dialect: 'postgres';
  /** Lends a connection outside of any transaction, for statements that refuse to run inside one. */
  session<T>(options: SessionOptions, work: (session: Session) => Promise<T>): Promise<T>;
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
