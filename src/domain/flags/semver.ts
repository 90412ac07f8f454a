import type { SemverComparison } from './condition.ts';

export type Version = { numbers: readonly [number, number, number]; prerelease: readonly string[] };

const NUMBER = String.raw`(0|[1-9]\d{0,14})`;
const IDENTIFIER = String.raw`(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)`;
const FULL = new RegExp(
  String.raw`^${NUMBER}\.${NUMBER}\.${NUMBER}(?:-(${IDENTIFIER}(?:\.${IDENTIFIER})*))?(?:\+[0-9a-zA-Z.-]+)?$`,
);
const PARTIAL = /^(\d{1,15})(?:\.(\d{1,15}))?$/;

/** Is it a version by Semantic Versioning 2.0.0? */
export function isVersion(text: string): boolean {
  return FULL.test(text);
}

/**
 * A version as applications report theirs: by Semantic Versioning 2.0.0 or, as flagd takes them, only its first one or two
 * numbers, with or without a leading `v`. Undefined when it is none.
 */
export function parseVersion(text: string): Version | undefined {
  const bare = text.replace(/^v/i, '');
  const [, major, minor = 0, patch = 0, prerelease] = FULL.exec(bare) ?? PARTIAL.exec(bare) ?? [];
  if (major === undefined) return undefined;
  return {
    numbers: [Number(major), Number(minor), Number(patch)],
    prerelease: prerelease?.split('.') ?? [],
  };
}

export function meetsVersion(version: Version, comparison: SemverComparison, wanted: Version): boolean {
  const [major, minor] = version.numbers;
  const [wantedMajor, wantedMinor] = wanted.numbers;
  switch (comparison) {
    case '^':
      return major === wantedMajor;
    case '~':
      return major === wantedMajor && minor === wantedMinor;
    case '=':
      return compareVersions(version, wanted) === 0;
    case '!=':
      return compareVersions(version, wanted) !== 0;
    case '<':
      return compareVersions(version, wanted) < 0;
    case '<=':
      return compareVersions(version, wanted) <= 0;
    case '>':
      return compareVersions(version, wanted) > 0;
    case '>=':
      return compareVersions(version, wanted) >= 0;
  }
}

/** Negative when `a` comes first. Build metadata plays no part. Semantic Versioning 2.0.0, section 11. */
export function compareVersions(a: Version, b: Version): number {
  for (const place of [0, 1, 2] as const) {
    const difference = a.numbers[place] - b.numbers[place];
    if (difference !== 0) return difference;
  }
  // A version without prerelease comes after all its prereleases.
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return b.prerelease.length - a.prerelease.length;
  }
  return comparePrereleases(a.prerelease, b.prerelease);
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  for (const [i, identifier] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    const difference = compareIdentifiers(identifier, other);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function compareIdentifiers(a: string, b: string): number {
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  // Without leading zeros, the longer number is the larger one.
  if (aIsNumber && a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}
