import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalName, parseReference, registryAddress, sameName } from '../../../src/image/reference.js';

const HEX = 'a'.repeat(64);

describe('parseReference', () => {
  it.each([
    ['busybox', { name: 'busybox:latest', host: undefined, path: 'busybox', tag: 'latest' }],
    ['library/busybox:1.36', { name: 'library/busybox:1.36', host: undefined, path: 'library/busybox', tag: '1.36' }],
    ['localhost/k8s:v1', { name: 'localhost/k8s:v1', host: 'localhost', path: 'k8s', tag: 'v1' }],
    ['localhost:5000/k8s:v1', { name: 'localhost:5000/k8s:v1', host: 'localhost:5000', path: 'k8s', tag: 'v1' }],
    ['[::1]:5000/k8s', { name: '[::1]:5000/k8s:latest', host: '[::1]:5000', path: 'k8s', tag: 'latest' }],
    [
      'Example.com/a/b__c-d.e:T_1',
      { name: 'Example.com/a/b__c-d.e:T_1', host: 'Example.com', path: 'a/b__c-d.e', tag: 'T_1' },
    ],
    [
      `k8s.gcr.io/pause@sha256:${HEX}`,
      {
        name: `k8s.gcr.io/pause@sha256:${HEX}`,
        host: 'k8s.gcr.io',
        path: 'pause',
        tag: undefined,
        digest: `sha256:${HEX}`,
      },
    ],
    [`a/b:v1@sha256:${HEX}`, { name: 'a/b:v1', tag: 'v1', digest: `sha256:${HEX}` }],
  ])('%s', (text, expected) => {
    expect(parseReference(text)).toMatchObject(expected);
  });

  it.each([
    ['', 'it is empty'],
    ['https://registry.example.com/k8s', 'it is a URL'],
    ['UPPER', 'the repository must be lower case'],
    ['a:b:c', 'is not a repository'],
    ['a:', '"" is not a tag'],
    [`a:${'t'.repeat(129)}`, 'is not a tag'],
    ['a@sha256:short', 'is not a digest'],
    ['a//b', 'is not a repository'],
    ['../etc', 'is not a host'],
    ['a/../b', 'is not a repository'],
    ['host:99999/a', 'is not a host'],
    [`a/${'b'.repeat(255)}`, 'longer than 255'],
    ['Two Words', 'the repository must be lower case'],
  ])('refuses %j: %s', (text, why) => {
    expect(() => parseReference(text)).toThrowError(
      expect.objectContaining({ code: 'E_INVALID_REFERENCE', message: expect.stringContaining(why) }),
    );
  });

  it.each([
    ['UPPER', 'did you mean upper?'],
    ['Two Words', 'a name is [host[:port]/]repository[:tag][@sha256:…]'],
  ])('%j: suggests only what would be a name', (text, hint) => {
    expect(() => parseReference(text)).toThrowError(expect.objectContaining({ hint }));
  });

  it('gives a name that parses to itself, for any text it accepts', () => {
    const part = fc.stringMatching(/^[a-z0-9]+([._-][a-z0-9]+)*$/);
    const text = fc.tuple(
      fc.constantFrom('localhost:5000', 'r.example.com', 'localhost'),
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.option(fc.stringMatching(/^\w[\w.-]{0,20}$/)),
    );
    fc.assert(
      fc.property(text, ([host, path, tag]) => {
        fc.pre(path.join('/').length <= 255);
        const { name } = parseReference(`${host}/${path.join('/')}${tag ? `:${tag}` : ''}`);
        expect(parseReference(name).name).toBe(name);
      }),
    );
  });
});

describe('sameName', () => {
  it.each([
    ['n:1', 'docker.io/library/n:1'],
    ['n', 'docker.io/n:latest'],
    ['index.docker.io/team/n:1', 'team/n:1'],
    ['any text, twice', 'any text, twice'],
  ])('%s is %s', (a, b) => {
    expect([sameName(a, b), sameName(b, a)]).toEqual([true, true]);
  });

  it.each([
    ['n:1', 'n:2'],
    ['n:1', 'localhost/n:1'],
    ['library/n:1', 'quay.io/library/n:1'],
    ['n:1', `n:1@sha256:${'0'.repeat(64)}`],
    ['n:1', 'any text'],
    ['Any text', 'any text'],
  ])('%s is not %s', (a, b) => {
    expect([sameName(a, b), sameName(b, a)]).toEqual([false, false]);
  });
});

describe('registryAddress', () => {
  it.each([
    ['busybox', 'docker.io', 'library/busybox'],
    ['docker.io/busybox', 'docker.io', 'library/busybox'],
    ['index.docker.io/a/b', 'docker.io', 'a/b'],
    ['localhost:5000/a', 'localhost:5000', 'a'],
  ])('%s is at %s, %s', (text, host, repository) => {
    expect(registryAddress(parseReference(text))).toEqual({ host, repository });
  });
});

it('canonicalName fills in everything that is implied', () => {
  expect(canonicalName(parseReference('busybox'))).toBe('docker.io/library/busybox:latest');
  expect(canonicalName(parseReference(`k8s.gcr.io/pause:3.2@sha256:${HEX}`))).toBe(
    `k8s.gcr.io/pause:3.2@sha256:${HEX}`,
  );
});
