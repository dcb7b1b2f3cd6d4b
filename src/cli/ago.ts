const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [365 * 86400, 'year'],
  [30 * 86400, 'month'],
  [7 * 86400, 'week'],
  [86400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
];

/** How long ago a time (RFC 3339) was: `3 days ago`. A time that cannot be read is shown as it is. */
export function ago(created: string, now: number = Date.now()): string {
  const then = Date.parse(created);
  if (Number.isNaN(then)) return created;
  const seconds = Math.max(0, Math.floor((now - then) / 1000));
  const [size, name] = UNITS.find(([unit]) => seconds >= unit) ?? [1, 'second'];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${count === 1 ? '' : 's'} ago`;
}
