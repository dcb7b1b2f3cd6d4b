import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type AnyAuthMethod, type AuthenticationType, type ParsedKey } from 'ssh2';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';

/** How to prove who we are. What is given is tried in this order, as far as the host allows it. */
export interface SshCredentials {
  /** A private key file (OpenSSH or PEM). */
  readonly keyFile?: string | undefined;
  /** Of the key file. */
  readonly passphrase?: string | undefined;
  /** Socket of an ssh-agent. Default: `$SSH_AUTH_SOCK`; false for none. */
  readonly agent?: string | false | undefined;
  /** Also answers keyboard-interactive. */
  readonly password?: string | undefined;
}

/** One way to prove it. */
interface Attempt {
  /** `password` …: what goes to people. Never a secret. */
  readonly label: string;
  /** The SSH method that the host must allow for it (RFC 4252). */
  readonly method: 'publickey' | 'password' | 'keyboard-interactive';
  readonly use: AnyAuthMethod;
}

/** Steers one login. */
export interface Login {
  /** The next method for ssh2; false when there is none left. `allowed` is null at the very first call. */
  next(allowed: readonly string[] | null): AnyAuthMethod | false;
  /** `tried key /root/.ssh/id_rsa, password; the host allows publickey`, for an error. */
  story(): string;
}

/** Keys that ssh itself would try when nothing was said. */
const DEFAULT_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/**
 * Reads keys and prepares the order of attempts: the key file, the agent, the password; when neither key file nor
 * password is given, the user's default keys without a passphrase.
 * @throws SlipwayError E_NOT_FOUND, E_PERMISSION, E_HOST_AUTH for a key file that is missing, unreadable or locked
 */
export async function prepareLogin(user: string, credentials: SshCredentials): Promise<Login> {
  const { keyFile, passphrase, password, agent = process.env.SSH_AUTH_SOCK ?? false } = credentials;
  const attempts: Attempt[] = [];
  const withKey = (path: string, key: ParsedKey): void => {
    attempts.push({ label: `key ${path}`, method: 'publickey', use: { type: 'publickey', username: user, key } });
  };
  if (keyFile !== undefined) withKey(keyFile, await readKey(keyFile, passphrase));
  if (agent !== false && agent !== '') {
    attempts.push({ label: 'agent', method: 'publickey', use: { type: 'agent', username: user, agent } });
  }
  if (password !== undefined) {
    attempts.push(
      { label: 'password', method: 'password', use: { type: 'password', username: user, password } },
      { label: 'password', method: 'keyboard-interactive', use: keyboard(user, password) },
    );
  }
  if (keyFile === undefined && password === undefined) {
    for (const name of DEFAULT_KEYS) {
      const path = join(homedir(), '.ssh', name);
      const key = await readKey(path, undefined).catch(() => undefined);
      if (key !== undefined) withKey(path, key);
    }
  }
  return steer(user, attempts);
}

function steer(user: string, attempts: Attempt[]): Login {
  const tried: string[] = [];
  let last: readonly string[] = [];
  return {
    next(allowed) {
      // `none` makes the host say what it allows (RFC 4252 section 5.2)
      if (allowed === null) return { type: 'none', username: user };
      last = allowed;
      const index = attempts.findIndex(({ method }) => allowed.includes(method));
      const [attempt] = index < 0 ? [] : attempts.splice(index, 1);
      if (attempt === undefined) return false;
      if (attempt.label === 'password') {
        // the same password again by the other way would only count as one more wrong guess
        const other = attempts.findIndex(({ label }) => label === 'password');
        if (other >= 0) attempts.splice(other, 1);
      }
      tried.push(attempt.label);
      return attempt.use;
    },
    story: () =>
      `${tried.length === 0 ? 'nothing to try' : `tried ${tried.join(', ')}`}; the host allows ${last.join(', ') || 'nothing'}`,
  };
}

/** Answers each round of questions with the password, once: asked again, it was wrong. */
function keyboard(user: string, password: string): AnyAuthMethod {
  let asked = false;
  return {
    type: 'keyboard-interactive',
    username: user,
    prompt: (_name, _instructions, _language, prompts, finish) => {
      const answers = prompts.map(() => (asked ? '' : password));
      if (prompts.length > 0) asked = true;
      finish(answers);
    },
  };
}

async function readKey(path: string, passphrase: string | undefined): Promise<ParsedKey> {
  let text: Buffer;
  try {
    text = await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw new SlipwayError('E_NOT_FOUND', `the SSH key file ${path} does not exist`, {
        hint: 'name a private key of yours with -i FILE ("pk" below "ssh" in a Clusterfile); ssh-keygen makes one',
        cause: error,
      });
    }
    throw fileSystemError(error, `reading the SSH key file ${path}`);
  }
  const parsed: ParsedKey | Error | ParsedKey[] = ssh2.utils.parseKey(text, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key instanceof Error || key === undefined) {
    const locked = key !== undefined && /passphrase|encrypted|integrity/i.test(key.message);
    throw new SlipwayError('E_HOST_AUTH', `the SSH key file ${path} cannot be used: ${key?.message ?? 'it is empty'}`, {
      hint: locked ? 'give the passphrase of the key, the right one' : 'give an OpenSSH or PEM private key',
    });
  }
  if (!key.isPrivateKey()) {
    throw new SlipwayError('E_HOST_AUTH', `the SSH key file ${path} is a public key`, {
      hint: 'give the private key, the file without .pub',
    });
  }
  return key;
}

/** The login as ssh2 wants it. `before` is awaited ahead of the first attempt: nothing is proved to an untrusted host. */
export function authHandler(
  login: Login,
  before: () => Promise<void>,
  fail: (error: unknown) => void,
): (allowed: AuthenticationType[], partial: boolean, next: (method: AnyAuthMethod) => void) => void {
  return (allowed: readonly string[] | null, _partial, next) => {
    before().then(() => {
      const method = login.next(allowed);
      if (method === false) fail(undefined);
      else next(method);
    }, fail);
  };
}
