import { readdir, readFile, readlink } from 'node:fs/promises';

/** A process, as a person knows it. */
export interface UsingProcess {
  readonly pid: number;
  readonly name: string;
}

/**
 * Processes that have their working directory, their root, their program or an open file in `dir`, as far as this user may look at them.
 * @param most how many are enough.
 */
export async function processesUsing(dir: string, most = 5): Promise<readonly UsingProcess[]> {
  const found: UsingProcess[] = [];
  for (const entry of await readdir('/proc')) {
    if (found.length >= most) break;
    if (!/^\d+$/.test(entry) || !(await uses(entry, dir))) continue;
    const name = await readFile(`/proc/${entry}/comm`, 'utf8').catch(() => '');
    found.push({ pid: Number(entry), name: name.trim() });
  }
  return found;
}

async function uses(pid: string, dir: string): Promise<boolean> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const link of ['cwd', 'root', 'exe', ...files.map((file) => `fd/${file}`)]) {
    const target = await readlink(`/proc/${pid}/${link}`).catch(() => '');
    if (target === dir || target.startsWith(`${dir}/`)) return true;
  }
  return false;
}
