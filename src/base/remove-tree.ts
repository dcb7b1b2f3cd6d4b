import { spawn } from 'node:child_process';
import { errorSaid } from './errno-said.js';
import { errnoOf, isSlipwayError, SlipwayError } from './errors.js';
import { userNamespace } from './user-namespace.js';

const REMOVE = ['rm', '-rf', '--one-file-system', '--'] as const;

/**
 * Removes a directory with everything in it; one that is not there is no error. By the program `rm`: Node's own `fs.rm` cannot name files whose
 * names are not UTF-8, which unpacked layers may have, and would go on into whatever is still mounted below.
 * @throws SlipwayError E_PERMISSION with what `rm` said, E_SYSTEM, E_NO_SPACE.
 */
export function removeTree(dir: string): Promise<void> {
  return remove([...REMOVE, dir], dir);
}

/**
 * Removes everything in a directory, as {@link removeTree} does.
 * @throws SlipwayError E_PERMISSION.
 */
export function emptyTree(dir: string): Promise<void> {
  return remove(['find', dir, '-mindepth', '1', '-maxdepth', '1', '-exec', ...REMOVE, '{}', '+'], dir);
}

async function remove(command: readonly string[], dir: string): Promise<void> {
  try {
    await run(command, dir);
  } catch (error) {
    if (!isSlipwayError(error, 'E_PERMISSION') || process.getuid?.() === 0) throw error;
    // An unprivileged build has left what only its user namespace can remove: directories closed to everybody, files of subordinate users.
    const namespace = await userNamespace();
    if (!('missing' in namespace)) return run([...namespace.command, ...command], dir);
    // Without one all files are this user's own. Links are not followed.
    await run(['chmod', '-R', 'u+rwX', '--', dir], dir).catch(() => {});
    await run(command, dir);
  }
}

function run([program = '', ...args]: readonly string[], dir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      if (said.length < 2000) said += text.toString();
    });
    child.on('error', (cause) => {
      reject(
        errnoOf(cause) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', `the program ${program} is not on PATH`, {
              hint: 'install coreutils and findutils',
              cause,
            })
          : cause,
      );
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(failure(dir, said.trim()));
    });
  });
}

function failure(dir: string, said: string): unknown {
  // None of those is "Directory not empty" of one that could not be opened: why, rm does not say.
  return errorSaid(said, `removing ${dir}`) ?? new SlipwayError('E_SYSTEM', `cannot remove ${dir}: ${said}`);
}
