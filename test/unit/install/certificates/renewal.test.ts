import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../../src/image/digest.js';
import { renewalOf } from '../../../../src/install/certificates/renewal.js';
import type { JournalEntry } from '../../../../src/install/state/journal.js';

const NOW = Date.parse('2026-05-01T12:00:00Z');
const HOUR = 3_600_000;
const before = digestOf('before');
const entry = (
  host: string,
  event: JournalEntry['event'],
  hoursAgo: number,
  inputs: string = before,
): JournalEntry => ({
  time: new Date(NOW - hoursAgo * HOUR).toISOString(),
  run: 'run',
  step: `renew@${host}`,
  event,
  inputs,
});
const renewal = (...entries: readonly JournalEntry[]): string =>
  renewalOf(new Map(entries.map((one) => [one.step, one])), ['m1', 'm2', 'm3'], NOW);

describe('a renewal', () => {
  it('goes on when it was stopped on its way, so that no master is restarted twice', () => {
    expect(renewal(entry('m1', 'done', 2), entry('m2', 'failed', 1))).toBe(before);
    expect(renewal(entry('m1', 'done', 2), entry('m2', 'started', 2))).toBe(before);
    const older = digestOf('older');
    expect(renewal(entry('m1', 'done', 1), entry('m2', 'done', 5, older), entry('m3', 'done', 5, older))).toBe(before);
  });

  it('is another one each time when the one before has done all, or was stopped long ago', () => {
    const whole = ['m1', 'm2', 'm3'].map((host) => entry(host, 'done', 1));
    expect(renewal(...whole)).not.toBe(before);
    expect(renewal(...whole)).not.toBe(renewal(...whole));
    expect(renewal(entry('m1', 'done', 25), entry('m2', 'failed', 25))).not.toBe(before);
    expect(renewal()).toMatch(/^sha256:/);
  });
});
