import { readdir, readFile, readlink } from 'node:fs/promises';
import * as z from 'zod';
import { type MountEntry, mountTable } from '../layers/mount-table.js';

/** In which mount namespace something was mounted, and for how long that says anything. */
export const seenInSchema = z.object({
  /** Of the kernel's start: after another one nothing is mounted any more. */
  boot: z.string(),
  /** `mnt:[4026531841]`. */
  mounts: z.string(),
  /** The namespace in which process ids were read. */
  pids: z.string(),
});
export type SeenIn = z.infer<typeof seenInSchema>;

/** The namespace of this process. */
export async function seenHere(): Promise<SeenIn> {
  const [boot, mounts, pids] = await Promise.all([
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    readlink('/proc/self/ns/mnt'),
    readlink('/proc/self/ns/pid'),
  ]);
  return { boot: boot.trim(), mounts, pids };
}

/** The first namespace of process ids, which all others are in (PROC_PID_INIT_INO of the kernel). */
const ALL_PROCESSES = 'pid:[4026531836]';

/** Where a mount can be seen. */
export type Visible =
  | { readonly where: 'here' }
  /** By a process, or by processes that cannot be looked at from here. */
  | { readonly where: 'elsewhere'; readonly pid?: number }
  | { readonly where: 'nowhere' };

/**
 * Looks for a mount: in the mount namespace of this process, then in the one that it was made in, as long as a process is in that.
 * @param isIt true for the mount that is meant.
 * @param seenIn without it, only here.
 */
export async function findMount(isIt: (entry: MountEntry) => boolean, seenIn: SeenIn | undefined): Promise<Visible> {
  const here = await seenHere();
  if (seenIn !== undefined && seenIn.boot !== here.boot) return { where: 'nowhere' };
  if ((await mountTable()).some(isIt)) return { where: 'here' };
  if (seenIn === undefined || seenIn.mounts === here.mounts) return { where: 'nowhere' };
  // The processes of another container cannot be asked; until the next start it is taken for mounted.
  if (seenIn.pids !== here.pids && here.pids !== ALL_PROCESSES) return { where: 'elsewhere' };
  const other = await processIn(seenIn.mounts, here.pids);
  const table = other === undefined ? [] : await mountTable(other).catch(() => []);
  return other !== undefined && table.some(isIt) ? { where: 'elsewhere', pid: other } : { where: 'nowhere' };
}

/**
 * A process of a mount namespace that this user may look at; one with process ids of its own, if there is one: what is mounted at /proc there is made
 * for those.
 */
async function processIn(mounts: string, ownPids: string): Promise<number | undefined> {
  let found: number | undefined;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || (await namespaceOf(name, 'mnt')) !== mounts) continue;
    found ??= Number(name);
    if ((await namespaceOf(name, 'pid')) !== ownPids) return Number(name);
  }
  return found;
}

async function namespaceOf(process: string, kind: 'mnt' | 'pid'): Promise<string | undefined> {
  return readlink(`/proc/${process}/ns/${kind}`).catch(() => undefined);
}
