import type { BuildJob } from './job.js';

/**
 * 2000-01-01T00:00:00Z, in seconds. Not 0: GNU tar calls that "implausibly old", and zip cannot write years before 1980.
 */
const NEUTRAL_TIME = 946_684_800;

/**
 * The time of entries whose own time says nothing about their content: files of the build context (a checkout has the time it was
 * made at) and what a RUN wrote just now. So equal content gives equal layers. SOURCE_DATE_EPOCH when that is given. In seconds.
 */
export function neutralTime({ epoch }: Pick<BuildJob, 'epoch'>): number {
  return epoch ?? NEUTRAL_TIME;
}
