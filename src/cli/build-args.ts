import { SlipwayError } from '../base/errors.js';

/**
 * The values of `--build-arg`: `NAME=value`, or `NAME` alone for the value that this process has in its environment, as docker does.
 * @throws SlipwayError E_USAGE
 */
export function buildArgs(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.flatMap((text) => {
      const equals = text.indexOf('=');
      if (equals === 0) throw new SlipwayError('E_USAGE', `--build-arg ${text}: the name is missing`);
      if (equals > 0) return [[text.slice(0, equals), text.slice(equals + 1)] as const];
      const value = process.env[text];
      return value === undefined ? [] : [[text, value] as const];
    }),
  );
}
