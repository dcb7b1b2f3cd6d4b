const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** The longest that a timer of Node can wait, in milliseconds. */
export const LONGEST_DURATION_MS = 2 ** 31 - 1;

/** A duration as Go writes it (`90s`, `10m`, `1h30m`, `1.5h`) in milliseconds; undefined when the text is none, or nothing. */
export function durationMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const milliseconds = Math.round(
    parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0),
  );
  return parts.map(([part]) => part).join('') === text && milliseconds > 0 ? milliseconds : undefined;
}
