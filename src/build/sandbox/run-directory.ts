import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PlacedMount } from './bwrap-arguments.js';
import { inMemory, type MemoryFile } from './memory-files.js';
import { networkFiles } from './network-files.js';
import type { SandboxRequest } from './sandbox-request.js';

/**
 * Makes a directory for the files of one run in the scratch directory, closed to others, and takes it away when `work` is
 * done: `private/` (place of a tmpfs), `tmp/`, `var-tmp/`, `etc/` with the network files, and `stdin`.
 */
export async function inRunDirectory<T>(
  { scratch, stdin, network }: SandboxRequest,
  work: (runDirectory: string) => Promise<T>,
): Promise<T> {
  const directory = await mkdtemp(join(scratch, 'run-'));
  const inside = (name: string): string => join(directory, name);
  try {
    await Promise.all(['private', 'tmp', 'var-tmp', 'etc'].map((name) => mkdir(inside(name))));
    await Promise.all(['tmp', 'var-tmp'].map((name) => chmod(inside(name), 0o1777)));
    await writeFile(inside('stdin'), stdin ?? '');
    for (const [name, text] of Object.entries(networkFiles(network))) {
      await writeFile(inside(`etc/${name}`), text);
      // Whatever our umask is: every user of the container reads them.
      await chmod(inside(`etc/${name}`), 0o644);
    }
    return await work(directory);
  } finally {
    // rm copes with names that are no UTF-8 and with any depth, which a hostile /tmp may have. What it leaves, the owner of
    // the scratch directory sweeps.
    await promisify(execFile)('rm', ['-rf', '--', directory]).catch(() => undefined);
  }
}

/**
 * Secrets are bound from a tmpfs that only the sandbox's mount namespace has.
 * @returns the mounts with such sources, and the files that the launch script must put there
 */
export function keepSecretsInMemory(
  mounts: readonly PlacedMount[],
  runDirectory: string,
): { readonly mounts: readonly PlacedMount[]; readonly files: readonly MemoryFile[] } {
  const files: MemoryFile[] = [];
  const moved = mounts.map((placed, index) => {
    const { mount } = placed;
    if (mount.type !== 'secret') return placed;
    const { content, uid = 0, gid = 0, mode = 0o400 } = mount;
    const name = `secret-${index}`;
    files.push({ name, content, mode: mode & 0o777, uid, gid });
    return { ...placed, source: inMemory(runDirectory, name) };
  });
  return { mounts: moved, files };
}

/** The text of a file that an engine writes, or undefined when it has not. */
export async function readResult(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
