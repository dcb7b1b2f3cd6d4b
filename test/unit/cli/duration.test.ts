import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseDuration } from '../../../src/cli/duration.js';

it.each([
  ['90s', 90_000],
  ['10m', 600_000],
  ['1h', 3_600_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['1m0.5s', 60_500],
])('%s', (text, expected) => {
  expect(parseDuration('--x', text)).toBe(expected);
});

it('reads what it understands and refuses everything else, and nothing is no limit by accident', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        expect(parseDuration('--x', text)).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'E_USAGE' });
      }
    }),
  );
});
