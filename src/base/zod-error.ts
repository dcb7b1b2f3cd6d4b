import type { ZodError } from 'zod';

/** The first few problems of a zod error as one line: `manifest.layers.0.digest: Invalid input; …`. */
export function zodProblems(error: ZodError, most = 3): string {
  const lines = error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message));
  const rest = lines.length - most;
  return lines.slice(0, most).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
}
