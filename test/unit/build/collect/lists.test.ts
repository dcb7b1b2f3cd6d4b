import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIgnoredImages } from '../../../../src/build/collect/ignored-images.js';
import { parseImageList } from '../../../../src/build/collect/image-list.js';
import { formatImageLock, parseImageLock } from '../../../../src/build/collect/image-lock.js';
import { sha256Digest } from '../../../../src/image/digest.js';
import { formatPlatform } from '../../../../src/image/platform.js';
import { parseReference } from '../../../../src/image/reference.js';

const HEX = 'ab'.repeat(32);

describe('an image list', () => {
  it('has one name a line, comments, quotes, digests, and platforms behind a name', () => {
    const text = `\uFEFF# head\r\nweb:1   # the page\n\n  "quoted:2"\nexample.com/a@sha256:${HEX}\nagent:v1 linux/arm64,linux/arm/v7\nweb:1\n`;
    const found = parseImageList(text, 'imageList').map(({ reference, place, platforms }) => [
      reference.name,
      place.line,
      platforms?.map(formatPlatform),
    ]);
    expect(found).toEqual([
      ['web:1', 2, undefined],
      ['quoted:2', 4, undefined],
      [`example.com/a@sha256:${HEX}`, 5, undefined],
      ['agent:v1', 6, ['linux/arm64', 'linux/arm/v7']],
      ['web:1', 7, undefined],
    ]);
  });

  it('has all its mistakes told at once, without their passwords', () => {
    const text =
      'good:1\nBad:1\nweb:1 linux/nothing\nweb:1 linux/amd64 more\nbob:secret99@example.com/x\nhttps://example.com/x\n';
    const parse = (): unknown => parseImageList(text, 'list');
    expect(parse).toThrow(/list:2: [\s\S]*list:3: [\s\S]*list:4: [\s\S]*list:5: .*credentials[\s\S]*list:6: .*URL/);
    expect(parse).not.toThrow(/secret99|list:1:/);
  });
});

describe('a list of ignored images', () => {
  it.each([
    ['web:1', 'docker.io/library/web:1', true],
    ['web', 'web:1', false],
    ['*:latest', 'example.com/a/b', true],
    ['example.com/debug/*', 'example.com/debug/x/y:1', true],
    ['docker.io/library/*', 'web:1', true],
    ['we?:1', 'web:1', true],
    ['we?:1', 'weeb:1', false],
    ['*a*a*a*a*a*a*a*a*a*a*b', `${'a'.repeat(200)}:1`, false],
  ])('%s and %s: %s', (pattern, name, matches) => {
    const [ignored] = parseIgnoredImages(pattern, 'list');
    expect(ignored?.matches(parseReference(name))).toBe(matches);
  });

  it('refuses what is neither name nor pattern', () => {
    expect(() => parseIgnoredImages('web:1 linux/arm64\nUp:1\n', 'list')).toThrow(/list:1: [\s\S]*list:2: /);
  });
});

describe('a lock file', () => {
  it('is read as it was written, and written the same whatever the order', () => {
    const name = fc.stringMatching(/^[a-z]{1,8}$/).map((text) => `docker.io/library/${text}:v1`);
    const digest = fc.stringMatching(/^[a-f0-9]{64}$/).map((hex) => sha256Digest(hex));
    const platforms = fc
      .array(fc.tuple(fc.constantFrom('linux/amd64', 'linux/arm64', 'linux/arm/v7'), digest), {
        minLength: 1,
        maxLength: 3,
      })
      .map((list) => new Map(list));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, platforms), { maxLength: 6 }), (list) => {
        const locked = new Map(list);
        const text = formatImageLock(locked);
        expect(parseImageLock(text, 'lock')).toEqual(locked);
        expect(formatImageLock(new Map([...locked].reverse()))).toBe(text);
      }),
    );
  });

  it.each([
    ['no YAML', '{'],
    ['something else', 'a: b\n'],
    ['another version', 'version: 2\nimages: {}\n'],
    ['no digest', 'version: 1\nimages: {a:1: {linux/amd64: x}}\n'],
    ['aliases', 'version: 1\nimages: {web:1: &a {linux/amd64: x}, b:1: *a}\n'],
    ['a merge conflict', '<<<<<<< HEAD\nversion: 1\n=======\n'],
  ])('that is %s is refused', (_what, text) => {
    expect(() => parseImageLock(text, 'imageList.lock')).toThrow(/^imageList\.lock: /);
  });
});
