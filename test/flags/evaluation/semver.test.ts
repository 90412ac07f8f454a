import { describe, expect, it } from 'vitest';
import type { SemverComparison } from '../../../src/domain/flags/condition.ts';
import {
  compareVersions,
  meetsVersion,
  parseVersion,
  type Version,
} from '../../../src/domain/flags/semver.ts';

function version(text: string): Version {
  const parsed = parseVersion(text);
  if (!parsed) throw new Error(`"${text}" was not understood`);
  return parsed;
}

describe('versions', () => {
  it.each(['01.2.3', '1.2.3.4', '1.2.3-', '1.2.3-01', '1.2.x', '1.', 'latest', '', ' 1.2.3', '1-beta'])(
    'does not understand %j',
    (text) => {
      expect(parseVersion(text)).toBeUndefined();
    },
  );

  it.each([
    ['1', '1.0.0'],
    ['1.2', '1.2.0'],
    ['v1.2', '1.2.0'],
    ['V1.2.3', '1.2.3'],
  ])('takes %s for %s', (text, full) => {
    expect(parseVersion(text)).toEqual(parseVersion(full));
  });

  it('follows the order of Semantic Versioning 2.0.0, section 11', () => {
    const ascending = [
      '0.9.10',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '2.0.0',
      '2.1.0',
      '2.1.1',
      '10.0.0',
    ];
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) {
        expect(Math.sign(compareVersions(version(a), version(b)))).toBe(Math.sign(i - j));
      }
    }
  });

  it('takes no notice of a leading v and of build metadata', () => {
    expect(compareVersions(version('v1.2.3+build.5'), version('1.2.3'))).toBe(0);
  });

  it.each<[string, SemverComparison, string, boolean]>([
    ['3.0.1', '~', '3.0.0', true],
    ['3.1.0', '~', '3.0.0', false],
    ['3.1.0', '^', '3.0.0', true],
    // As in flagd, a range without a lower end.
    ['3.0.0', '^', '3.2.0', true],
    ['4.0.0', '^', '3.0.0', false],
    ['1.0.0', '!=', '1.0.1', true],
    ['1.0.0', '>=', '1.0.0', true],
    ['1.0.0', '<=', '0.9.0', false],
    ['1.0.0-rc.1', '<', '1.0.0', true],
    ['1.0.0', '>', '1.0.0-rc.1', true],
    ['1.0.0', '=', '1.0.0+7', true],
  ])('%s %s %s is %s', (left, comparison, right, holds) => {
    expect(meetsVersion(version(left), comparison, version(right))).toBe(holds);
  });
});
