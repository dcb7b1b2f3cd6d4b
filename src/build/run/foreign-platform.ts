import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SlipwayError } from '../../base/errors.js';
import { removeTree } from '../../base/remove-tree.js';
import { formatPlatform, type Platform, samePlatform, thisPlatform } from '../../image/platform.js';
import type { Store } from '../../store/store.js';
import { exitProgram, qemuName } from './exit-program.js';

const answers = new Map<string, Promise<boolean>>();

/**
 * Makes sure that programs of a platform can run on this machine: natively, or through an emulator that is registered with the kernel
 * (binfmt_misc) and works in another root. Found out by running one, once in a process.
 * @throws SlipwayError E_UNSUPPORTED that says what is missing
 */
export async function requireRunnable(store: Store, platform: Platform): Promise<void> {
  const machine = thisPlatform();
  if (samePlatform(platform, machine)) return;
  const { os, architecture } = platform;
  const key = `${os}/${architecture}`;
  if (!answers.has(key)) answers.set(key, canRun(store, platform));
  if (await answers.get(key)) return;
  const qemu = qemuName(architecture);
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `cannot run programs for ${formatPlatform(platform)} on this machine (${formatPlatform(machine)}): no emulator for them is registered with the kernel (binfmt_misc)`,
    {
      hint: `apt-get install qemu-user-static binfmt-support registers ${qemu}; or run the command with the tools of this machine: --isolation=host`,
    },
  );
}

/** Runs a program that only ends, as the only file of a root of its own: an emulator that the kernel would have to look for there is none. */
async function canRun(store: Store, { os, architecture }: Platform): Promise<boolean> {
  const program = os === 'linux' ? exitProgram(architecture) : undefined;
  if (program === undefined) return false;
  const dir = await store.temp.path('probe');
  try {
    await mkdir(dir);
    await writeFile(join(dir, 'exit'), program);
    await chmod(join(dir, 'exit'), 0o755);
    await promisify(execFile)('chroot', [dir, '/exit'], { timeout: 10_000 });
    return true;
  } catch {
    return false;
  } finally {
    await removeTree(dir);
  }
}
