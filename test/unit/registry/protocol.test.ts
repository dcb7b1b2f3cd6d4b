import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { apiHost, isLoopback, isThisMachine, portOf } from '../../../src/registry/host.js';
import { nextPage } from '../../../src/registry/link-header.js';
import { parseErrorBody, responseError } from '../../../src/registry/registry-error.js';
import { backoff, isPassingStatus, parseRetryAfter } from '../../../src/registry/retry.js';
import { joinScopes, repositoryScope } from '../../../src/registry/scope.js';
import { parseContentRange, parseRange } from '../../../src/registry/server/range.js';
import { parseRoute } from '../../../src/registry/server/route.js';
import { parseWarnings } from '../../../src/registry/warning-header.js';

describe('scopes', () => {
  test('actions on one resource are joined, in one order', () => {
    expect(
      joinScopes([repositoryScope('b', 'push'), repositoryScope('a', 'pull'), 'repository:b:pull registry:catalog:*']),
    ).toEqual(['registry:catalog:*', 'repository:a:pull', 'repository:b:pull,push']);
  });

  test('joining is idempotent and does not depend on the order', () => {
    const scope = fc.tuple(
      fc.constantFrom('a', 'b/c', 'host:5000/d'),
      fc.subarray(['pull', 'push', 'delete'] as const, { minLength: 1 }),
    );
    fc.assert(
      fc.property(fc.array(scope), (list) => {
        const scopes = list.map(([repository, actions]) => repositoryScope(repository, ...actions));
        const joined = joinScopes(scopes);
        expect(joinScopes(joined)).toEqual(joined);
        expect(joinScopes([...scopes].reverse())).toEqual(joined);
      }),
    );
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 0);
  test.each([
    ['0', 0],
    [' 120 ', 120_000],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    ['-1', undefined],
    [undefined, undefined],
  ])('%s', (header, milliseconds) => {
    expect(parseRetryAfter(header, now)).toBe(milliseconds);
  });

  test('waits double, and never together', () => {
    expect([0, 1, 2, 3].map((round) => backoff(round, 100, 1))).toEqual([100, 200, 400, 800]);
    expect(backoff(3, 100, 0)).toBe(400);
    expect([408, 429, 500, 503].every(isPassingStatus)).toBe(true);
    expect([400, 401, 404, 501, 507].some(isPassingStatus)).toBe(false);
  });
});

describe('hosts', () => {
  test.each(['localhost', 'localhost:5000', '127.0.0.1', '127.8.9.10:1', '[::1]:5000', 'a.localhost'])(
    '%s is loopback',
    (host) => {
      expect(isLoopback(host)).toBe(true);
    },
  );
  test.each(['localhost.example', '128.0.0.1', '127.0.0.1.example', '[::2]:1', 'notlocalhost'])('%s is not', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
  test.each(['localhost:5000', '127.0.0.1', '0.0.0.0:80', '[::]:80', '[::1]', '[::ffff:7f00:1]:80', '[::ffff:0:0]'])(
    '%s leads to this machine',
    (host) => {
      expect(isThisMachine(host)).toBe(true);
    },
  );
  test.each(['10.0.0.1', '[::ffff:a00:1]', '[::2]:1', 'registry.example', '[7f00::1]'])('%s does not', (host) => {
    expect(isThisMachine(host)).toBe(false);
  });
  test('ports, and where Docker Hub is', () => {
    expect(portOf('[::1]:5000')).toBe(5000);
    expect(portOf('[::1]')).toBeUndefined();
    expect(portOf('a.example')).toBeUndefined();
    expect(apiHost('docker.io')).toBe('registry-1.docker.io');
    expect(apiHost('quay.example')).toBe('quay.example');
  });
});

describe('Link', () => {
  const base = new URL('https://r.example/v2/x/tags/list?n=2');
  test.each([
    ['</v2/x/tags/list?last=b&n=2>; rel="next"', 'https://r.example/v2/x/tags/list?last=b&n=2'],
    ['<?last=b>; title="a, b; c"; rel=next', 'https://r.example/v2/x/tags/list?last=b'],
    ['<http://other.example/v2/x/tags/list?last=b>; rel="next"', 'https://r.example/v2/x/tags/list?last=b'],
    ['</first>; rel="first", </second>; rel="prev next"', 'https://r.example/second'],
    ['</first>; rel="nextish"', undefined],
    ['</first>; rel="prev"; rel="next"', undefined],
    ['</first>; title="<x>; rel=next", </second> ; REL = NEXT', 'https://r.example/second'],
    ['no link at all', undefined],
  ])('%s', (header, url) => {
    expect(nextPage(header, base)?.href).toBe(url);
  });
});

test.each([
  ['one that is never closed', `</a>; ${'a; '.repeat(5000)}`],
  ['many that are never closed', '<'.repeat(15_000)],
  ['one with many parameters', `</a>${';rel'.repeat(4000)}`],
  ['one in many blanks', `</a>;${' '.repeat(15_000)}x${' ;'.repeat(5000)}`],
])('a long Link header is read once: %s', (_, header) => {
  // The old pattern took minutes for some of these: the test would time out.
  expect(nextPage(header.repeat(20), new URL('https://r.example/'))).toBeUndefined();
});

test('the next page is never one of another host', () => {
  const next = nextPage(
    '</x/..//other:5001/v2/_catalog?last=a>; rel="next"',
    new URL('http://registry:5000/v2/_catalog'),
  );
  expect(next?.host).toBe('registry:5000');
});

test('warnings for people are freed of what a terminal would obey', () => {
  expect(parseWarnings(['299 - "a \\"b\\"", 299 - "c\u001b[2J"', '199 - "other"', '299 agent "not ours"'])).toEqual([
    'a "b"',
    'c [2J',
  ]);
});

describe('errors of a registry', () => {
  test('its own codes and messages; anything else in one line', () => {
    expect(
      parseErrorBody(Buffer.from('{"errors":[{"code":"DENIED","message":"no","detail":"because"},{"message":"x"}]}')),
    ).toEqual([
      { code: 'DENIED', message: 'no: because' },
      { code: 'UNKNOWN', message: 'x' },
    ]);
    expect(parseErrorBody(Buffer.from('bad\n  gateway'))).toEqual([{ code: 'UNKNOWN', message: 'bad gateway' }]);
    expect(parseErrorBody(Buffer.from('<html>…'))).toEqual([]);
  });

  test.each([
    [401, '', 'E_UNAUTHORIZED', /slipway login r\.example/],
    [403, '', 'E_UNAUTHORIZED', /slipway login r\.example/],
    [404, '', 'E_NOT_FOUND', /check the name/],
    [400, '{"errors":[{"code":"DIGEST_INVALID"}]}', 'E_DIGEST_MISMATCH', undefined],
    [413, '', 'E_REGISTRY', /limits the size/],
    [418, '', 'E_REGISTRY', undefined],
  ])('%d', (status, body, code, hint) => {
    const error = responseError(
      { host: 'r.example', method: 'GET', what: 'fetching manifest v1 of x', repository: 'x' },
      status,
      Buffer.from(body),
    );
    expect(error.code).toBe(code);
    expect(error.message).toMatch(new RegExp(`^r\\.example: fetching manifest v1 of x: GET answered ${status}`));
    if (hint === undefined) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
    expect(error.details).toMatchObject({ registry: 'r.example', repository: 'x', status });
  });
});

describe('ranges', () => {
  test('every range that is given lies within the body', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.option(fc.nat(60)), fc.option(fc.nat(60)), (size, from, to) => {
        const range = parseRange(`bytes=${from ?? ''}-${to ?? ''}`, size);
        if (typeof range !== 'object') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeLessThan(size);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
      }),
    );
  });
  test.each([
    ['bytes=0-0', { start: 0, end: 0 }],
    ['bytes=5-', { start: 5, end: 9 }],
    ['bytes=-20', { start: 0, end: 9 }],
    ['bytes=4-2', 'unsatisfiable'],
    ['bytes=1-2,4-5', undefined],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
  ])('%s of ten bytes', (header, range) => {
    expect(parseRange(header, 10)).toEqual(range);
  });
  test.each([
    ['0-5', { start: 0, end: 5 }],
    ['bytes 3-9/10', { start: 3, end: 9 }],
    ['5', undefined],
    ['a-b', undefined],
  ])('a piece %s', (header, range) => {
    expect(parseContentRange(header)).toEqual(range);
  });
});

describe('paths of the server', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  test.each([
    ['/v2/', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/a/b/tags/list', { kind: 'tags', repository: 'a/b' }],
    ['/v2/a/manifests/v1', { kind: 'manifest', repository: 'a', reference: 'v1' }],
    [
      `/v2/docker.io/library/a/manifests/${digest}`,
      { kind: 'manifest', repository: 'docker.io/library/a', reference: digest },
    ],
    [`/v2/a/blobs/${digest.replace(':', '%3A')}`, { kind: 'blob', repository: 'a', digest }],
    ['/v2/a/blobs/uploads/', { kind: 'uploads', repository: 'a' }],
    ['/v2/a/blobs/uploads', { kind: 'uploads', repository: 'a' }],
    ['/v2/a/blobs/uploads/id', { kind: 'upload', repository: 'a', id: 'id' }],
    ['/v2/manifests/blobs/tags/list', { kind: 'tags', repository: 'manifests/blobs' }],
    [`/v2/a/referrers/${digest}`, { kind: 'referrers', repository: 'a', digest }],
  ])('%s', (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });
  test.each([
    '/',
    '/v1/',
    '/v2/a',
    '/v2/A/tags/list',
    '/v2/../x/tags/list',
    '/v2/a/blobs/-x',
    '/v2/UPPER/x/tags/list',
    '/v2/a//b/tags/list',
    '/v2/a%2Fb/tags/list',
    '/v2/a/blobs/sha256:x',
    '/v2/a/manifests/%ff',
    '/v2/h:1/a/tags/list',
  ])('%s is none', (path) => {
    expect(() => parseRoute(path)).toThrow();
  });
});
