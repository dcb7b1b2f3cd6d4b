import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { processName } from '../base/process-name.js';
import { userName } from '../base/user-name.js';

/** Processes that are named. */
const MOST = 3;
/** Ticks in a second, as /proc tells times: Linux' USER_HZ. */
const TICKS = 100;

/**
 * Who holds a lock on a file, for people: `slipway run (process 4711 of ann, since 2026-01-31 14:03:22)`. The kernel is asked, so nobody is
 * named who only waits or has ended. Undefined when it is nobody that this user can see: another user, or another container.
 */
export async function lockHolders(file: string): Promise<string | undefined> {
  const path = await realpath(file).catch(() => file);
  const names: string[] = [];
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    if (names.length >= MOST) break;
    if (Number(pid) !== process.pid && (await holds(pid, path))) names.push(...(await described(pid)));
  }
  return names.length === 0 ? undefined : names.join(', ');
}

/** Whether one of its open files has the lock: a file that is only open has none in its fdinfo. */
async function holds(pid: string, path: string): Promise<boolean> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) !== path) continue;
    if (/^lock:.* FLOCK /m.test(await read(`/proc/${pid}/fdinfo/${fd}`))) return true;
  }
  return false;
}

/** Empty for a process that has ended meanwhile, and for the program that locks in the name of another one. */
async function described(pid: string): Promise<readonly string[]> {
  const [name, owner, line, uptime] = await Promise.all([
    processName(Number(pid)),
    stat(`/proc/${pid}`).catch(() => undefined),
    read(`/proc/${pid}/stat`),
    read('/proc/uptime'),
  ]);
  if (name === 'flock' || owner === undefined) return [];
  // Field 22 of proc(5); the name in field 2 may hold anything.
  const started = Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[19]) / TICKS;
  const age = Number.parseFloat(uptime) - started;
  const since = Number.isFinite(age) ? `, since ${localTime(new Date(Date.now() - age * 1000))}` : '';
  return [`${name} (process ${pid} of ${await userName(owner.uid)}${since})`];
}

/** `2026-01-31 14:03:22`, by the clock on the wall. */
function localTime(date: Date): string {
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}
