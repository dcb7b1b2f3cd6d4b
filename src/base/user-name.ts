import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';

/** What people call a user; `uid=4711` (as id(1) says it) for one without a name, as programs in containers often run. */
export async function userName(uid: number): Promise<string> {
  try {
    // It knows those of a directory service too, and throws where there is no name.
    if (uid === process.getuid?.()) return userInfo().username;
  } catch {
    return `uid=${uid}`;
  }
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const entry = users.split('\n').find((line) => line.split(':')[2] === String(uid));
  return entry?.split(':')[0] ?? `uid=${uid}`;
}
