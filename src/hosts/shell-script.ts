import { SlipwayError } from '../base/errors.js';

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The last line of every script that travels: a script without it was cut on its way and is never run. */
export const SCRIPT_END = '#slipway-end';

/**
 * One word for a POSIX shell, whatever is in `text`: wrapped in single quotes, each single quote of its own as `'\''`.
 * @throws SlipwayError E_USAGE when the text has a NUL byte, which no shell can hold.
 */
export function shellQuote(text: string): string {
  if (text.includes('\0')) throw new SlipwayError('E_USAGE', 'a value for a shell script has a NUL byte in it');
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The text that a host's shell evaluates: the system directories at the end of PATH (a login over SSH may lack sbin),
 * `env` exported, the working directory entered, then the script, then {@link SCRIPT_END}.
 * @throws SlipwayError E_USAGE for an env name that is no shell variable name, or a NUL byte anywhere.
 */
export function composeScript(
  script: string,
  { env = {}, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string | undefined } = {},
): Buffer {
  if (script.includes('\0')) throw new SlipwayError('E_USAGE', 'the script for a host has a NUL byte in it');
  const lines = ['export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'];
  for (const [name, value] of Object.entries(env)) {
    if (!VARIABLE_NAME.test(name)) {
      throw new SlipwayError('E_USAGE', `the environment variable name ${JSON.stringify(name)} cannot be exported`, {
        hint: 'names are letters, digits and underscores, and do not begin with a digit',
      });
    }
    lines.push(`export ${name}=${shellQuote(value)}`);
  }
  if (cwd !== undefined) lines.push(`CDPATH= cd ${shellQuote(cwd.startsWith('/') ? cwd : `./${cwd}`)} || exit 1`);
  return Buffer.from(`${lines.join('\n')}\n${script}\n${SCRIPT_END}`);
}

/** What a script is called when nobody named it: its first line that is not blank or a comment, at most 80 characters. */
export function titleOf(script: string): string {
  const line = script
    .split('\n', 200)
    .map((text) => text.trim())
    .find((text) => text !== '' && !text.startsWith('#') && !/^set -[a-z]+$/.test(text));
  if (line === undefined) return 'script';
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
