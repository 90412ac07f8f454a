import { createHash } from 'node:crypto';

/** Each takes about 100 bytes. */
export const MOST_REMEMBERED = 1_000_000;

/** What the rows of a dry run would have in unique indexes, as far as there is room to remember it. */
export class SeenIdentities {
  readonly #digests = new Map<string, Set<string>>();
  #count = 0;

  get isFull(): boolean {
    return this.#count >= MOST_REMEMBERED;
  }

  /** @param identity null is the same as nothing. */
  has(index: string, identity: string | null): boolean {
    return identity !== null && this.#digests.get(index)?.has(digest(identity)) === true;
  }

  add(index: string, identity: string | null): void {
    if (identity === null || this.isFull) return;
    const digests = this.#digests.get(index) ?? new Set();
    digests.add(digest(identity));
    this.#digests.set(index, digests);
    this.#count += 1;
  }
}

/** 96 bits: among a million values two that differ have the same with a probability of 10^-17. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64').slice(0, 16);
}
