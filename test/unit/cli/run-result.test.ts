import { expect, it } from 'vitest';
import { stepsDone } from '../../../src/cli/run-result.js';

it.each([
  [0, 47, '0 steps done, 47 were done already'],
  [1, 1, '1 step done, 1 was done already'],
  [2, 0, '2 steps done, 0 were done already'],
])('of %d and %d steps it says: %s', (ran, skipped, text) => {
  expect(stepsDone(ran, skipped)).toBe(text);
});
