import { durationMs, LONGEST_DURATION_MS } from '../base/duration.js';
import { SlipwayError } from '../base/errors.js';

/**
 * Reads a duration as Go writes it: `90s`, `10m`, `1h30m`, `1.5h`.
 * @param flag for the error. @returns milliseconds, more than 0
 * @throws SlipwayError E_USAGE
 */
export function parseDuration(flag: string, text: string): number {
  const milliseconds = durationMs(text);
  if (milliseconds === undefined)
    throw new SlipwayError('E_USAGE', `${flag} ${text}: this is no duration`, { hint: 'write 90s, 10m or 1h30m' });
  if (milliseconds > LONGEST_DURATION_MS) throw new SlipwayError('E_USAGE', `${flag} ${text}: that is more than 596h`);
  return milliseconds;
}
