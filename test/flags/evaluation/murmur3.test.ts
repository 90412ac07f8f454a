import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashPrefix, murmur3, murmur3After } from '../../../src/flags/evaluation/murmur3.ts';

/** The algorithm's definition, step by step over bytes, in unbounded integers. */
function reference(bytes: Uint8Array): number {
  const word = (value: bigint) => value & 0xffffffffn;
  const rotate = (value: bigint, bits: bigint) => word(value << bits) | (value >> (32n - bits));
  const scramble = (block: bigint) => word(rotate(word(block * 0xcc9e2d51n), 15n) * 0x1b873593n);
  const blockAt = (start: number, end: number) =>
    bytes.slice(start, end).reduceRight((block, byte) => (block << 8n) | BigInt(byte), 0n);

  const whole = bytes.length - (bytes.length % 4);
  let hash = 0n;
  for (let i = 0; i < whole; i += 4) {
    hash = word(rotate(hash ^ scramble(blockAt(i, i + 4)), 13n) * 5n + 0xe6546b64n);
  }
  hash ^= scramble(blockAt(whole, bytes.length)) ^ BigInt(bytes.length);
  hash = word((hash ^ (hash >> 16n)) * 0x85ebca6bn);
  hash = word((hash ^ (hash >> 13n)) * 0xc2b2ae35n);
  return Number(hash ^ (hash >> 16n));
}

const utf8 = (text: string) => new TextEncoder().encode(text);
const anyText = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

describe('murmur3', () => {
  // From the tests of github.com/spaolacci/murmur3 and from Wikipedia's article on MurmurHash, all with seed 0.
  it.each([
    ['', 0x00000000],
    ['hello', 0x248bfa47],
    ['hello, world', 0x149bbb7f],
    ['19 Jan 2038 at 3:14:07 AM', 0xe31e8a70],
    ['The quick brown fox jumps over the lazy dog.', 0xd5c48bfc],
    ['test', 0xba6bd213],
    ['Hello, world!', 0xc0363e43],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ])('hashes %j as published', (text, hash) => {
    expect(murmur3(text)).toBe(hash);
  });

  it('hashes the UTF-8 of any text as the definition says', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(murmur3(text)).toBe(reference(utf8(text)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('hashes half a surrogate pair as the replacement character', () => {
    expect(murmur3('user-\ud83d')).toBe(reference(utf8('user-\ufffd')));
  });

  it('hashes a text in two parts like the whole, wherever it is cut', () => {
    fc.assert(
      fc.property(anyText, anyText, (first, second) => {
        expect(murmur3After(hashPrefix(first), second)).toBe(reference(utf8(first + second)));
      }),
      { numRuns: 2_000 },
    );
  });
});
