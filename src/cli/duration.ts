import { SlipwayError } from '../base/errors.js';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** The longest that a timer of Node can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/**
 * Reads a duration as Go writes it: `90s`, `10m`, `1h30m`, `1.5h`.
 * @param flag for the error. @returns milliseconds, more than 0
 * @throws SlipwayError E_USAGE
 */
export function parseDuration(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const milliseconds = Math.round(
    parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0),
  );
  if (text === '' || parts.map(([part]) => part).join('') !== text || milliseconds <= 0)
    throw new SlipwayError('E_USAGE', `${flag} ${text}: this is no duration`, { hint: 'write 90s, 10m or 1h30m' });
  if (milliseconds > LONGEST) throw new SlipwayError('E_USAGE', `${flag} ${text}: that is more than 596h`);
  return milliseconds;
}
