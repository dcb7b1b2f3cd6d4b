import { describe, expect, test } from 'vitest';
import { parseRegistrySettings } from '../../../src/registry/config-text.js';

describe('config.yaml', () => {
  test('what can be set', () => {
    const text = 'registries:\n  mirrors: {docker.io: ["m:5000"]}\n  plainHttp: [a, b]\n  insecureSkipVerify: []\n';
    expect(parseRegistrySettings(text, 'c')).toEqual({
      mirrors: { 'docker.io': ['m:5000'] },
      plainHttp: ['a', 'b'],
      insecureSkipVerify: [],
    });
    expect(parseRegistrySettings('', 'c')).toEqual({});
  });

  test.each([
    ['registry:\n  mirrors: {}\n', 'c:1:1', 'there is no setting "registry"', 'what can be set here: registries'],
    ['other: 1\n', 'c:1:', 'there is no setting "other"', 'what can be set here: registries'],
    [
      'registries:\n  plainHttps: [a]\n',
      'c:2:',
      'registries: there is no setting "plainHttps"',
      'did you mean plainHttp?',
    ],
    ['registries:\n  zzz: 1\n', 'c:2:3', 'there is no setting "zzz"', 'mirrors, plainHttp, insecureSkipVerify'],
    ['registries:\n  plainHttp: true\n', 'c:2:14', 'registries.plainHttp is not', 'a list of hosts such as'],
    ['registries:\n  plainHttp: [7]\n', 'c:2:15', 'registries.plainHttp.0 is not', 'registries.plainHttp takes a list'],
    ['registries:\n  mirrors: [m]\n', 'c:2:', 'registries.mirrors is not', '{docker.io: ["mirror.lan:5000"]}'],
    [
      'registries:\n  mirrors: {docker.io: m}\n',
      'c:2:',
      'registries.mirrors.docker.io is not',
      'registries.mirrors takes',
    ],
    ['registries:\n  mirrors: {docker.io: []}\n', 'c:2:', 'registries.mirrors.docker.io is not', 'the mirrors of each'],
    ['registries: 3\n', 'c:1:', 'registries is not', 'settings: mirrors'],
    ['- a\n', 'c:1:', 'this file is not', 'registries:'],
  ])('%j: where, what, and what is allowed', (text, place, message, hint) => {
    expect(() => parseRegistrySettings(text, 'c')).toThrowError(
      expect.objectContaining({
        code: 'E_USAGE',
        message: expect.stringMatching(new RegExp(`^${place.replaceAll('.', '\\.')}.*`)),
        hint: expect.stringContaining(hint),
      }),
    );
    expect(() => parseRegistrySettings(text, 'c')).toThrowError(message);
    // none of the checker's own words
    expect(() => parseRegistrySettings(text, 'c')).not.toThrowError(/Invalid input|Unrecognized|Too small|expected/);
  });
});
