import { spawnSync } from 'node:child_process';
import { errorSaid } from '../base/errno-said.js';
import { errnoOf, isSlipwayError, SlipwayError } from '../base/errors.js';
import { pathToBytes } from './path-bytes.js';

/**
 * Makes a device node or FIFO, which Node cannot, with the program mknod of coreutils: one process each.
 *
 * @param file its path; nothing is there yet.
 * @throws SlipwayError E_PERMISSION when this user may not make devices; E_NO_SPACE, E_SYSTEM; E_MISSING_PROGRAM.
 */
export function makeNode(
  file: string,
  type: 'char' | 'block' | 'fifo',
  device: { readonly major: number; readonly minor: number } = { major: 0, minor: 0 },
): void {
  // An argument of a program is a string in Node. One that is not UTF-8 goes through the shell's standard input instead.
  const letter = { char: 'c', block: 'b', fifo: 'p' }[type];
  const numbers = type === 'fifo' ? '' : `${device.major} ${device.minor}`;
  const { error, status, stderr } = spawnSync('sh', ['-s'], {
    input: Buffer.concat([Buffer.from("exec mknod -- '"), quoted(file), Buffer.from(`' ${letter} ${numbers}\n`)]),
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (error !== undefined) {
    throw new SlipwayError('E_MISSING_PROGRAM', 'the program mknod is needed for devices and cannot be started', {
      hint: 'install it, on Debian: apt install coreutils',
      cause: errnoOf(error),
    });
  }
  if (status === 127) {
    throw new SlipwayError('E_MISSING_PROGRAM', 'the program mknod is needed for devices and is not installed', {
      hint: 'install it, on Debian: apt install coreutils',
    });
  }
  if (status !== 0) {
    const what = type === 'fifo' ? 'FIFO' : `device ${letter} ${numbers}`;
    const said = errorSaid(String(stderr), `making the ${what} ${file}`);
    if (isSlipwayError(said, 'E_NO_SPACE', 'E_SYSTEM')) throw said;
    throw new SlipwayError('E_PERMISSION', `cannot make the ${what} ${file}: ${String(stderr).trim()}`, {
      hint: 'making devices needs root, and a file system that allows it',
    });
  }
}

/** The bytes of a path inside single quotes of sh. */
function quoted(file: string): Buffer {
  return Buffer.from(pathToBytes(file).toString('latin1').replaceAll("'", "'\\''"), 'latin1');
}
