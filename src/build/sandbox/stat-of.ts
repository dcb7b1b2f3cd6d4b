import { type Stats, statSync } from 'node:fs';

/** The attributes of what a path leads to, or undefined when there is nothing (or nothing that we may see). */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
