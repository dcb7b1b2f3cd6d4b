import { spawn } from 'node:child_process';
import { errnoOf, SlipwayError } from '../base/errors.js';

/**
 * Runs mount(8) or umount(8) in `cwd`.
 *
 * @param what names the work in errors.
 * @throws SlipwayError E_MOUNT, E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function mountProgram(
  program: 'mount' | 'umount',
  args: readonly string[],
  cwd: string,
  what: string,
): Promise<void> {
  // libmount's newer way hands options to the kernel one by one, in at most 256 bytes each.
  const env = { ...process.env, LC_ALL: 'C', LIBMOUNT_FORCE_MOUNT2: 'always' };
  const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((done, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    child.once('error', (error) => reject(notStarted(program, error)));
    child.once('close', (status) => done({ code: status, stderr: text }));
  });
  if (code !== 0) throw refused(program, what, stderr);
}

function notStarted(program: string, error: unknown): SlipwayError {
  const missing = errnoOf(error) === 'ENOENT';
  return new SlipwayError(missing ? 'E_MISSING_PROGRAM' : 'E_MOUNT', `the program ${program} cannot be started`, {
    hint: 'install it, on Debian: apt install mount',
    cause: error,
  });
}

function refused(program: string, what: string, stderr: string): SlipwayError {
  const reason = (stderr.trim().split('\n')[0] ?? '').replace(/^u?mount: /, '') || `${program} failed`;
  if (/permission denied|must be superuser|operation not permitted|only root/i.test(reason)) {
    return new SlipwayError('E_PERMISSION', `${what}: ${reason}`, {
      hint: 'mounting needs root (or a user namespace with CAP_SYS_ADMIN)',
    });
  }
  return new SlipwayError('E_MOUNT', `${what}: ${reason}`, {
    hint: /busy/i.test(reason)
      ? 'a process still uses it: fuser -vm shows which'
      : 'the kernel says more with dmesg; overlayfs needs its module (modprobe overlay)',
  });
}
