import { describe, expect, it } from 'vitest';
import { parseGitSource } from '../../../src/build/add/git-source.js';
import { parseUrlSource } from '../../../src/build/add/url-source.js';

describe('a git repository', () => {
  it.each([
    ['https://host/x.git', 'https://host/x.git', undefined, ''],
    ['https://host/x.git#main', 'https://host/x.git', 'main', ''],
    ['https://host/x.git#v1:a/./b/', 'https://host/x.git', 'v1', 'a/b'],
    ['https://host/x.git#:docs', 'https://host/x.git', undefined, 'docs'],
    ['https://host/x.git#refs/heads/a/b', 'https://host/x.git', 'refs/heads/a/b', ''],
    ['HTTPS://host/x.git#', 'HTTPS://host/x.git', undefined, ''],
    ['git@host:a/b.git#v1', 'git@host:a/b.git', 'v1', ''],
    ['git@host:a/b', 'git@host:a/b', undefined, ''],
    ['git://host/x', 'git://host/x', undefined, ''],
    ['ssh://git@host:22/x', 'ssh://git@host:22/x', undefined, ''],
  ])('%s', (text, url, ref, subdirectory) => {
    expect(parseGitSource(text)).toEqual({ url, ref, subdirectory, credentials: undefined });
  });

  it.each([
    'https://host/x',
    'https://host/x.git/file',
    'file',
    './a.git',
    'a:b',
    'file:///x.git',
    'ext::sh',
    'x.git#main',
    'me@host',
  ])('%s is none', (text) => {
    expect(parseGitSource(text)).toBeUndefined();
  });

  it('keeps its credentials apart', () => {
    expect(parseGitSource('https://me:p%40ss@host/x.git#v1')).toMatchObject({
      url: 'https://host/x.git',
      credentials: 'me:p@ss',
    });
    expect(parseGitSource('https://t0ken@host/x.git')).toMatchObject({
      url: 'https://host/x.git',
      credentials: 't0ken:',
    });
  });

  it.each(['-x', '--upload-pack=sh', 'a..b', 'a b', 'a~1', 'a^', 'a@{1}', 'a?', '.a', 'a\nb'])(
    'ref %j is refused',
    (ref) => {
      expect(() => parseGitSource(`https://host/x.git#${ref}`)).toThrowError(
        expect.objectContaining({ code: 'E_COPY' }),
      );
    },
  );

  it('a directory that leaves it is refused', () => {
    expect(() => parseGitSource('https://host/x.git#v1:a/../../b')).toThrowError(/leaves the repository/);
  });
});

describe('a URL', () => {
  it.each([
    ['https://host/a/b.txt', 'b.txt'],
    ['http://host:1/a%20b?x=y#z', 'a b'],
    ['https://host/a/', 'a'],
    ['https://host/', undefined],
    ['https://host', undefined],
    ['https://host/100%', '100%'],
  ])('%s is called %s', (text, name) => {
    expect(parseUrlSource(text)?.name).toBe(name);
  });

  it('is shown without credentials and query', () => {
    const source = parseUrlSource('https://me:secret-word@host/f?sig=abc#x');
    expect(source?.shown).toBe('https://host/f');
    expect(source?.url.href).toBe('https://host/f?sig=abc');
    expect(source?.authorization).toBe(`Basic ${Buffer.from('me:secret-word').toString('base64')}`);
  });

  it.each(['https://host/a%2fb', 'https://host/a%00b', 'https://[host/x'])('%s is refused', (text) => {
    expect(() => parseUrlSource(text)).toThrowError(expect.objectContaining({ code: 'E_COPY' }));
  });

  it.each(['file', 'ftp://host/x', '/http://x'])('%s is none', (text) => {
    expect(parseUrlSource(text)).toBeUndefined();
  });
});
