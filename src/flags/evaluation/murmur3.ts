/*
 * MurmurHash3, x86, 32 bits (Austin Appleby, public domain), with seed 0, over the UTF-8 of a text.
 * https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp
 */

const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;

/** The hash so far of a text that goes on: whole blocks of four bytes are in `hash`, up to three bytes wait in `tail`. */
export type HashPrefix = {
  readonly hash: number;
  readonly tail: number;
  /** Bits of `tail` that are taken: 0, 8, 16 or 24. */
  readonly tailBits: number;
  /** Bytes in all. */
  readonly length: number;
};

const EMPTY: HashPrefix = { hash: 0, tail: 0, tailBits: 0, length: 0 };
const encoder = new TextEncoder();

/** 0 to 2³² − 1. */
export function murmur3(text: string): number {
  return murmur3After(EMPTY, text);
}

/** What a hash needs to know of a text that many others begin with. */
export function hashPrefix(text: string): HashPrefix {
  return absorb(EMPTY, encoder.encode(text));
}

/**
 * The hash of the prefix's text followed by `text`, 0 to 2³² − 1. ASCII is hashed where it is, without allocating;
 * anything else is encoded first, half a surrogate pair as U+FFFD.
 */
export function murmur3After(prefix: HashPrefix, text: string): number {
  const { length } = text;
  let { hash, tail, tailBits } = prefix;
  let seen = 0;
  let i = 0;
  while (tailBits !== 0 && i < length) {
    const unit = text.charCodeAt(i++);
    seen |= unit;
    tail |= unit << tailBits;
    tailBits = (tailBits + 8) & 31;
    if (tailBits === 0) {
      hash = mixBlock(hash, tail);
      tail = 0;
    }
  }
  for (const end = length - 3; i < end; i += 4) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    seen |= a | b | c | d;
    hash = mixBlock(hash, a | (b << 8) | (c << 16) | (d << 24));
  }
  for (; i < length; i++) {
    const unit = text.charCodeAt(i);
    seen |= unit;
    tail |= unit << tailBits;
    tailBits += 8;
  }
  // A code unit above 127 is not its own UTF-8; what was computed is void.
  if (seen > 0x7f) return finish(absorb(prefix, encoder.encode(text)));
  return finalize(hash, tail, prefix.length + length);
}

function absorb(prefix: HashPrefix, bytes: Uint8Array): HashPrefix {
  let { hash, tail, tailBits } = prefix;
  for (const byte of bytes) {
    tail |= byte << tailBits;
    tailBits = (tailBits + 8) & 31;
    if (tailBits === 0) {
      hash = mixBlock(hash, tail);
      tail = 0;
    }
  }
  return { hash, tail, tailBits, length: prefix.length + bytes.length };
}

function finish({ hash, tail, length }: HashPrefix): number {
  return finalize(hash, tail, length);
}

function scramble(block: number): number {
  const product = Math.imul(block, C1);
  return Math.imul((product << 15) | (product >>> 17), C2);
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}

/** An empty tail changes nothing, so it needs no case of its own. */
function finalize(hash: number, tail: number, length: number): number {
  let h = hash ^ scramble(tail) ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
