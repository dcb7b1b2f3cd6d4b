import { describe, expect, it } from 'vitest';
import { mapLimit } from '../../../src/base/concurrency.js';
import { SlipwayError } from '../../../src/base/errors.js';
import { counted, formatBytes, formatDuration } from '../../../src/base/format.js';
import { redact, registerSecret, registerToken } from '../../../src/base/redact.js';
import { suggest } from '../../../src/base/suggest.js';

describe('redact', () => {
  it('takes credentials out of URLs, headers and wherever a registered secret stands', () => {
    registerSecret('hunter2!');
    expect(redact('GET https://bob:pw@host/x failed')).toBe('GET https://***@host/x failed');
    expect(redact('Authorization: Bearer abc.def')).toBe('Authorization: Bearer ***');
    expect(new SlipwayError('E_INTERNAL', 'login with hunter2! failed', { hint: 'not hunter2!' })).toMatchObject({
      message: 'login with *** failed',
      hint: 'not ***',
    });
    expect(redact('oci:dir and a@b stay')).toBe('oci:dir and a@b stay');
  });

  it.each([
    'sha256',
    'registry.example.com/library/alpine',
    'the-name-of-some-machine-1.example.com',
    `sha256:${'0a'.repeat(32)}`,
    '0a'.repeat(32),
    'manifest unknown to the registry',
  ])('lets no registry decide that %j is a secret', (token) => {
    registerToken(token);
    expect(redact(`${token} is not found`)).toBe(`${token} is not found`);
  });

  it.each(['eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2ln', 'ghp_16C7e42F292c6912E7710c838347Ae178B4a'])(
    'takes out a token of a registry: %s',
    (token) => {
      registerToken(token);
      expect(redact(`Bearer ${token}!`)).toBe('Bearer ***!');
    },
  );
});

describe('mapLimit', () => {
  it('keeps the order and the bound', async () => {
    let running = 0;
    let most = 0;
    const results = await mapLimit([5, 1, 3, 2], 2, async (n) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return n * 2;
    });
    expect(results).toEqual([10, 2, 6, 4]);
    expect(most).toBe(2);
  });

  it('throws the first failure only when everything that runs has stopped, and starts nothing more', async () => {
    const started: number[] = [];
    let stopped = false;
    const work = mapLimit([0, 1, 2, 3], 2, async (n, _index, signal) => {
      started.push(n);
      if (n === 0) throw new Error('first');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => setImmediate(resolve)));
      stopped = true;
    });
    await expect(work).rejects.toThrow('first');
    expect(stopped).toBe(true);
    expect(started).toEqual([0, 1]);
  });
});

it.each([
  ['COPPY', 'COPY'],
  ['cpoy', 'COPY'],
  ['XYZZY', undefined],
  ['', undefined],
])('suggest(%j) is %s', (word, expected) => {
  expect(suggest(word, ['FROM', 'COPY', 'RUN', 'CMD'])).toBe(expected);
});

it.each([
  [0, '0B'],
  [999, '999B'],
  [1500, '1.5kB'],
  [999_950, '1MB'],
  [123_456_789, '123MB'],
])('formatBytes(%d) is %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it('formatDuration is short', () => {
  expect([formatDuration(400), formatDuration(185_000)]).toEqual(['0.4s', '3m05s']);
});

it.each([
  [0, '0 entries'],
  [1, '1 entry'],
  [2, '2 entries'],
])('%d is counted as %s', (number, text) => {
  expect(counted(number, 'entry', 'entries')).toBe(text);
});

it('many are one with an s where nothing else is said', () => {
  expect([1, 2].map((number) => counted(number, 'step'))).toEqual(['1 step', '2 steps']);
});
