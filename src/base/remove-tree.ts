import { spawn } from 'node:child_process';
import { errnoOf, SlipwayError } from './errors.js';

/**
 * Removes a directory with everything in it; one that is not there is no error. By the program `rm`: Node's own `fs.rm` cannot name files whose
 * names are not UTF-8, which unpacked layers may have, and would go on into whatever is still mounted below.
 * @throws SlipwayError E_PERMISSION with what `rm` said.
 */
export function removeTree(dir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('rm', ['-rf', '--one-file-system', '--', dir], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      if (said.length < 2000) said += text.toString();
    });
    child.on('error', (cause) => {
      reject(
        errnoOf(cause) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', 'the program rm is not on PATH', { hint: 'install coreutils', cause })
          : cause,
      );
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new SlipwayError('E_PERMISSION', `cannot remove ${dir}: ${said.trim()}`));
    });
  });
}
