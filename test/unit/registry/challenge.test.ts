import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseChallenges } from '../../../src/registry/challenge.js';

test.each([
  ['Basic realm="x"', [{ scheme: 'basic', params: { realm: 'x' } }]],
  [
    'Bearer realm="https://auth.example/token",service="reg",scope="repository:a/b:pull,push"',
    [
      {
        scheme: 'bearer',
        params: { realm: 'https://auth.example/token', service: 'reg', scope: 'repository:a/b:pull,push' },
      },
    ],
  ],
  [
    'Basic realm=simple, Bearer realm="https://a/t" , service=x',
    [
      { scheme: 'basic', params: { realm: 'simple' } },
      { scheme: 'bearer', params: { realm: 'https://a/t', service: 'x' } },
    ],
  ],
  [
    'Negotiate, BASIC Realm="a \\"b\\""',
    [
      { scheme: 'negotiate', params: {} },
      { scheme: 'basic', params: { realm: 'a "b"' } },
    ],
  ],
  [
    'NTLM TlRMTVNTUAAB==, Basic realm="x"',
    [
      { scheme: 'ntlm', params: {} },
      { scheme: 'basic', params: { realm: 'x' } },
    ],
  ],
  ['Bearer realm="never ends', [{ scheme: 'bearer', params: {} }]],
  ['', []],
  ['=,,="', []],
])('%s', (header, challenges) => {
  expect(parseChallenges(header)).toEqual(challenges);
});

test('several headers are several challenges', () => {
  expect(parseChallenges(['Basic realm="a"', 'Bearer realm="b"']).map(({ scheme }) => scheme)).toEqual([
    'basic',
    'bearer',
  ]);
});

test('any text is read without failing, in time that does not explode', () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 2000, unit: fc.constantFrom('a', '"', '=', ',', ' ', '\\', 'Bearer ', 'realm="') }),
      (text) => {
        expect(Array.isArray(parseChallenges(text))).toBe(true);
      },
    ),
  );
});

test('what is written is read', () => {
  const token = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
  const challenge = fc.record({
    scheme: token,
    params: fc.dictionary(token, fc.string({ unit: 'grapheme-ascii' }), { minKeys: 1, noNullPrototype: true }),
  });
  fc.assert(
    fc.property(fc.array(challenge, { minLength: 1 }), (challenges) => {
      const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
      const text = challenges
        .map(
          ({ scheme, params }) =>
            `${scheme} ${Object.entries(params)
              .map(([name, value]) => `${name}=${quote(value)}`)
              .join(',')}`,
        )
        .join(', ');
      expect(parseChallenges(text)).toEqual(challenges);
    }),
  );
});
