import { spawn } from 'node:child_process';
import { errnoOf, SlipwayError } from '../base/errors.js';

export interface MountProgramOptions {
  /** Its working directory. Default `/`. */
  readonly cwd?: string;
  /** Names the work in errors. */
  readonly what: string;
  /** A descriptor that the program keeps open while it works; what it leaves running does not. */
  readonly hold?: number | undefined;
}

/** Programs that mount or unmount, and the Debian packages that they are in. */
const PACKAGES = {
  mount: 'mount',
  umount: 'mount',
  'fuse-overlayfs': 'fuse-overlayfs',
  fusermount3: 'fuse3',
  nsenter: 'util-linux',
} as const;
export type MountProgram = keyof typeof PACKAGES;

const HINTS: Partial<Record<MountProgram, string>> = {
  mount: 'the kernel says more with dmesg; overlayfs needs its module (modprobe overlay)',
  'fuse-overlayfs': 'FUSE needs its module (modprobe fuse), /dev/fuse and the program fusermount3',
};

/** A daemon that the program becomes must not keep the descriptor. The shell, which waits for the program, has it meanwhile. */
const HOLDING = '"$@" 3>&-; exit "$?"';

/**
 * Runs a program that mounts or unmounts.
 *
 * @throws SlipwayError E_MOUNT with its first line, E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function mountProgram(
  program: MountProgram,
  args: readonly string[],
  { cwd = '/', what, hold }: MountProgramOptions,
): Promise<void> {
  // libmount's newer way hands options to the kernel one by one, in at most 256 bytes each.
  const env = { ...process.env, LC_ALL: 'C', LIBMOUNT_FORCE_MOUNT2: 'always' };
  const [command, words] = hold === undefined ? [program, args] : ['sh', ['-c', HOLDING, 'sh', program, ...args]];
  const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((done, reject) => {
    const child = spawn(command, words, {
      cwd,
      env,
      stdio: ['ignore', 'ignore', 'pipe', ...(hold === undefined ? [] : [hold])],
    });
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    child.once('error', (error) => reject(notStarted(program, error)));
    child.once('close', (status) => done({ code: status, stderr: text }));
  });
  if (code === NOT_FOUND && hold !== undefined) throw notStarted(program);
  if (code !== 0) throw refused(program, what, stderr);
}

/** A shell's exit code. */
const NOT_FOUND = 127;

function notStarted(program: MountProgram, error?: unknown): SlipwayError {
  const missing = error === undefined || errnoOf(error) === 'ENOENT';
  return new SlipwayError(missing ? 'E_MISSING_PROGRAM' : 'E_MOUNT', `the program ${program} cannot be started`, {
    hint: `install it, on Debian: apt install ${PACKAGES[program]}`,
    ...(error === undefined ? {} : { cause: error }),
  });
}

function refused(program: MountProgram, what: string, stderr: string): SlipwayError {
  const hint = HINTS[program];
  const reason = reasonOf(program, stderr);
  if (/permission denied|must be superuser|operation not permitted|only root/i.test(reason)) {
    return new SlipwayError('E_PERMISSION', `${what}: ${reason}`, {
      hint: 'mounting needs root (or a user namespace with CAP_SYS_ADMIN)',
    });
  }
  if (/\bbusy\b/i.test(reason)) {
    return new SlipwayError('E_MOUNT', `${what}: ${reason}`, {
      hint: 'a process still uses it: fuser -vm shows which',
      details: { busy: true },
    });
  }
  return new SlipwayError('E_MOUNT', `${what}: ${reason}`, hint === undefined ? {} : { hint });
}

/** fuse-overlayfs says first which options it does not know; why it ends, fusermount and it say both. */
function reasonOf(program: MountProgram, stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  const chosen = program === 'fuse-overlayfs' ? lines.filter((line) => /^fuse/.test(line)) : lines.slice(0, 1);
  const reasons = chosen.map((line) => line.replace(/^(?:u?mount|nsenter|fuse-overlayfs|fusermount3?|fuse): /, ''));
  return reasons.join('; ') || `${program} failed`;
}
