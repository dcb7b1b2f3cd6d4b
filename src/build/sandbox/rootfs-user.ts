import { SlipwayError } from '../../base/errors.js';

/** Numbers of the user a command runs as. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** From passwd, `/` when the user is not in it, as Docker does. */
  readonly home: string;
}

const MAX_ID = 0xfffffffe;

/**
 * Resolves `user[:group]` as Docker does (moby `user.GetExecUser`): names through passwd and group, numbers as they are; a
 * user found in passwd brings the primary group and, when no group is given, every group that lists the name.
 * @param wanted root when undefined or empty
 * @param passwd,group text of the two files, undefined when missing
 * @param where whose files they are, for the error
 * @throws SlipwayError E_NOT_FOUND for a name that is not in the files, or a number that is none
 */
export function resolveUser(
  wanted: string | undefined,
  passwd: string | undefined,
  group: string | undefined,
  where: string,
): SandboxUser {
  const [userPart = '', groupPart] = (wanted ?? '').split(':', 2);
  const userName = userPart === '' ? '0' : userPart;
  const users = records(passwd);
  const groups = records(group);
  const found = users.find(([name, , uid]) => name === userName || uid === userName);
  const uid = numberOf(found?.[2]) ?? numberOf(userName);
  if (uid === undefined) throw unknown('user', userName, `${where}/etc/passwd`);
  const home = found?.[5] || '/';
  if (groupPart !== undefined && groupPart !== '') {
    const gid = numberOf(groups.find(([name, , id]) => name === groupPart || id === groupPart)?.[2] ?? groupPart);
    if (gid === undefined) throw unknown('group', groupPart, `${where}/etc/group`);
    return { uid, gid, groups: [], home };
  }
  const name = found?.[0];
  const member = groups.filter(([, , , members]) => name !== undefined && (members ?? '').split(',').includes(name));
  return {
    uid,
    gid: numberOf(found?.[3]) ?? 0,
    groups: [...new Set(member.flatMap(([, , gid]) => numberOf(gid) ?? []))],
    home,
  };
}

function records(text: string | undefined): readonly (readonly string[])[] {
  return (text ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => line.trim().split(':'));
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= MAX_ID ? value : undefined;
}

function unknown(what: string, name: string, file: string): SlipwayError {
  return new SlipwayError('E_NOT_FOUND', `cannot run as ${what} ${name}: it is not in ${file}`, {
    hint: `give its number, or make the ${what} in an earlier RUN`,
  });
}
