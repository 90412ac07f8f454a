/** Of the binary form: dimensions, whether there are NULLs, the elements' type, their number, the first one's index. */
const HEADER_BYTES = 20;
const TEXT_OID = 25;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;
const BYTES_AT_FIRST = 16_384;
/** A UTF-16 unit takes at most so many in UTF-8. */
const BYTES_PER_UNIT = 3;

/**
 * Builds a `text[]` parameter in PostgreSQL's binary form, value by value. What pg makes of an array, a literal with every
 * value escaped, costs several times as much on both sides.
 */
export class TextArray {
  // Memory of its own, which can be transferred to another thread.
  #bytes = Buffer.allocUnsafeSlow(BYTES_AT_FIRST);
  #end = HEADER_BYTES;
  #hasNulls = false;
  length = 0;

  static of(values: readonly (string | null)[]): Uint8Array {
    const array = new TextArray();
    for (const value of values) array.add(value);
    return array.finish();
  }

  add(value: string | null): void {
    this.length += 1;
    if (value === null) {
      this.#reserve(LENGTH_BYTES);
      this.#hasNulls = true;
      this.#end = this.#bytes.writeInt32BE(NULL_LENGTH, this.#end);
      return;
    }
    this.#reserve(LENGTH_BYTES + value.length * BYTES_PER_UNIT);
    const bytes = this.#bytes.write(value, this.#end + LENGTH_BYTES, 'utf8');
    this.#bytes.writeInt32BE(bytes, this.#end);
    this.#end += LENGTH_BYTES + bytes;
  }

  /** The parameter; nothing may be added any more. */
  finish(): Uint8Array {
    const header = [1, this.#hasNulls ? 1 : 0, TEXT_OID, this.length, 1];
    header.forEach((value, i) => {
      this.#bytes.writeInt32BE(value, i * LENGTH_BYTES);
    });
    return this.#bytes.subarray(0, this.#end);
  }

  #reserve(bytes: number): void {
    const needed = this.#end + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

/** The values of a finished {@link TextArray}. */
export function textsOf(array: Uint8Array): (string | null)[] {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
  const texts: (string | null)[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    at += LENGTH_BYTES;
    texts.push(length === NULL_LENGTH ? null : bytes.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return texts;
}
