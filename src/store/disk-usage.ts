import { spawn } from 'node:child_process';
import { errnoOf, SlipwayError } from '../base/errors.js';

/**
 * Bytes that files and directories take on the disk, each inode once. By the program `du`: it can name files that are not UTF-8, and is
 * not stopped by what vanishes meanwhile. What is mounted below is not counted. Paths that do not exist count nothing.
 */
export function diskUsage(paths: readonly string[]): Promise<number> {
  if (paths.length === 0) return Promise.resolve(0);
  return new Promise((resolve, reject) => {
    const child = spawn('du', ['-s', '-c', '-x', '--block-size=1', '--files0-from=-'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text = `${text}${chunk.toString('latin1')}`.slice(-1000); // the total comes last
    });
    child.on('error', (cause) => {
      reject(
        errnoOf(cause) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', 'the program du is not on PATH', { hint: 'install coreutils', cause })
          : cause,
      );
    });
    child.on('close', () => resolve(Number(/(\d+)\ttotal\n$/.exec(text)?.[1] ?? 0)));
    child.stdin.on('error', () => {});
    child.stdin.end(paths.join('\0'));
  });
}
