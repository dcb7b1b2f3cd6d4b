import { fillVariables, type ValueSources } from './secret-value.js';

/**
 * Variables that are written as lines `NAME=VALUE`.
 * @param path where the list is in its document.
 * @param wrong takes each mistake with its place.
 */
export function envLines(
  lines: readonly string[],
  path: readonly PropertyKey[],
  sources: ValueSources,
  wrong: (path: readonly PropertyKey[], why: string) => void,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [index, line] of lines.entries()) {
    const equals = line.indexOf('=');
    const name = line.slice(0, equals);
    const resolved = fillVariables(line.slice(equals + 1), sources);
    if (Object.hasOwn(env, name)) wrong([...path, index], `${name} is there twice`);
    if ('mistake' in resolved) wrong([...path, index], resolved.mistake);
    else env[name] = resolved.value;
  }
  return env;
}
