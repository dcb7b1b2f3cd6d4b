import type { Reporter } from '../base/reporter.js';
import { parseWarnings } from './warning-header.js';

/** Texts of one registry that are told to a person in one command: it has many answers to put new ones into. */
const MOST = 20;

const told = new WeakMap<Reporter, Set<string>>();

/**
 * Passes on what a registry wants to say to people (RFC 9111 warnings of code 299; distribution-spec has clients print them), each text once
 * for a reporter, which is once in a command.
 */
export function tellWarnings(reporter: Reporter, host: string, header: string | readonly string[] | undefined): void {
  if (header === undefined) return;
  const known = told.get(reporter) ?? new Set();
  told.set(reporter, known);
  for (const text of parseWarnings(header)) {
    const line = `${host} says: ${text}`;
    const ofHost = [...known].filter((other) => other.startsWith(`${host} says: `)).length;
    if (known.has(line) || ofHost >= MOST) continue;
    known.add(line);
    reporter.warn(line);
  }
}
