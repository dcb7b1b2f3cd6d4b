import { SlipwayError } from '../../base/errors.js';

/** The texts of the image's files that names are looked up in; undefined when a file is missing. */
export interface UserFiles {
  passwd(): Promise<string | undefined>;
  group(): Promise<string | undefined>;
}

/** The kernel takes `-1` for "no change". */
const MOST = 0xfffffffe;

/**
 * The numbers of `--chown=user[:group]`, as Docker has them: numbers as they are, also when nobody has them; names through the image's
 * /etc/passwd and /etc/group. Without a group, a name brings its own from passwd, a number is the group too.
 * @throws SlipwayError E_COPY for a name that the image does not have, a number that is none, and an empty user.
 */
export async function resolveOwner(wanted: string, files: UserFiles): Promise<{ uid: number; gid: number }> {
  const colon = wanted.indexOf(':');
  const user = colon < 0 ? wanted : wanted.slice(0, colon);
  const group = colon < 0 ? '' : wanted.slice(colon + 1);
  if (user === '' || group.includes(':')) {
    throw new SlipwayError('E_COPY', `--chown=${wanted} is not user or user:group`, {
      hint: 'for example --chown=0:0, --chown=app or --chown=app:staff',
    });
  }
  const { uid, gid } = await userOf(user, wanted, files);
  return { uid, gid: group === '' ? gid : await groupOf(group, wanted, files) };
}

async function userOf(user: string, wanted: string, files: UserFiles): Promise<{ uid: number; gid: number }> {
  const number = numberOf(user, wanted);
  if (number !== undefined) return { uid: number, gid: number };
  const text = await files.passwd();
  const record = find(text, user, 4);
  const uid = record && numberOf(record[2] ?? '', wanted);
  const gid = record && numberOf(record[3] ?? '', wanted);
  if (uid === undefined || gid === undefined) throw unknown('user', user, wanted, '/etc/passwd', text);
  return { uid, gid };
}

async function groupOf(group: string, wanted: string, files: UserFiles): Promise<number> {
  const number = numberOf(group, wanted);
  if (number !== undefined) return number;
  const text = await files.group();
  const gid = numberOf(find(text, group, 3)?.[2] ?? '', wanted);
  if (gid === undefined) throw unknown('group', group, wanted, '/etc/group', text);
  return gid;
}

function find(text: string | undefined, name: string, fields: number): readonly string[] | undefined {
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim().split(':'))
    .find((record) => record.length >= fields && record[0] === name);
}

function numberOf(text: string, wanted: string): number | undefined {
  if (!/^[0-9]+$/.test(text)) return undefined;
  const value = Number(text);
  if (value > MOST) throw new SlipwayError('E_COPY', `--chown=${wanted}: ${text} is more than ${MOST}`);
  return value;
}

function unknown(what: string, name: string, wanted: string, file: string, text: string | undefined): SlipwayError {
  return new SlipwayError(
    'E_COPY',
    `--chown=${wanted}: ${text === undefined ? `the image has no ${file} to look up the ${what} ${name} in` : `there is no ${what} ${name} in the image's ${file}`}`,
    { hint: `give its number, or make the ${what} in an earlier instruction` },
  );
}
