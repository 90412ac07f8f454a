import type { FlagState } from '../domain/flag-state.ts';

/** Where the application reads its flags from. */
export interface FlagStore {
  /** Undefined when there is no flag of that name. */
  read(name: string): Promise<FlagState | undefined>;
  /**
   * Sets an existing flag and returns what the store now holds. Setting what it holds already changes nothing, so it may
   * be repeated.
   * @throws Error when the flag does not exist, or the store cannot hold the state exactly.
   */
  write(name: string, state: FlagState): Promise<FlagState>;
}
