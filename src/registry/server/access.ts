import { createHmac, randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import bcrypt from 'bcryptjs';
import { errnoOf, messageOf, SlipwayError } from '../../base/errors.js';
import { HttpError } from './http-error.js';
import { Turns } from './turns.js';

/** How many proven Authorization headers are remembered: bcrypt is slow on purpose, and a push makes hundreds of requests. */
const REMEMBERED = 1000;
/** Milliseconds for which one that is used stays remembered. */
const REMEMBERED_FOR = 15 * 60_000;
/** Passwords that wait to be checked: each takes a tenth of a second or more, in which this process does little else. */
const WAITING = { all: 64, each: 16 };
/** Compared with when there are no users at all. */
const NOBODY = '$2b$10$C6UzMDM.H6dfI/f/IKcEeO7ZdKSzMc9cNQxnWnWOmYDhqk2dmZJXS';

/**
 * Lets in who is in an Apache htpasswd file (bcrypt only, as `htpasswd -B` writes it). The file is read again when it changes.
 */
export class Htpasswd {
  readonly #file: string;
  #users: ReadonlyMap<string, string> = new Map();
  #version = '';
  /** Without it what is remembered says nothing of a password. */
  readonly #secret = randomBytes(32);
  /** What was right, and until when that counts. */
  readonly #proven = new Map<string, number>();
  readonly #turns = new Turns(WAITING);
  /** Those that are being proven: the requests of a client come side by side, and its password is hashed once. */
  readonly #pending = new Map<string, Promise<boolean>>();

  private constructor(file: string) {
    this.#file = file;
  }

  /** @throws SlipwayError E_USAGE when the file cannot be read, or holds hashes other than bcrypt. */
  static async open(file: string): Promise<Htpasswd> {
    const access = new Htpasswd(file);
    await access.#reload();
    return access;
  }

  /**
   * @param client who asks; see {@link clientOf}.
   * @throws HttpError 401 with a challenge, 429 when too many passwords wait to be checked.
   */
  async check(authorization: string | undefined, client: string): Promise<void> {
    await this.#reload();
    const credentials = parseBasic(authorization);
    if (credentials === undefined) throw refused(authorization);
    const key = createHmac('sha256', this.#secret)
      .update(authorization ?? '')
      .digest('hex');
    if (this.#isProven(key)) return;
    const version = this.#version;
    const question = `${version} ${key}`;
    let proof = this.#pending.get(question);
    if (proof === undefined) {
      proof = this.#turns.take(client, () => this.#isKnown(credentials)).finally(() => this.#pending.delete(question));
      this.#pending.set(question, proof);
    }
    if (!(await proof)) throw refused(authorization);
    if (version !== this.#version) return this.check(authorization, client);
    if (this.#proven.size >= REMEMBERED) this.#proven.clear();
    this.#proven.set(key, Date.now() + REMEMBERED_FOR);
  }

  #isProven(key: string): boolean {
    if ((this.#proven.get(key) ?? 0) < Date.now()) return false;
    this.#proven.set(key, Date.now() + REMEMBERED_FOR);
    return true;
  }

  async #isKnown(credentials: Credentials): Promise<boolean> {
    const hash = this.#users.get(credentials.user);
    // Somebody's, for nobody: as costly as the others of the file.
    const [other = NOBODY] = this.#users.values();
    return (await bcrypt.compare(credentials.password, hash ?? other)) && hash !== undefined;
  }

  async #reload(): Promise<void> {
    try {
      const { mtimeMs, size } = await stat(this.#file);
      const version = `${mtimeMs} ${size}`;
      if (version === this.#version) return;
      this.#users = parseHtpasswd(await readFile(this.#file, 'utf8'), this.#file);
      this.#proven.clear();
      this.#version = version;
    } catch (cause) {
      if (cause instanceof SlipwayError) throw cause;
      const absent = errnoOf(cause) === 'ENOENT';
      throw new SlipwayError(
        'E_USAGE',
        `cannot read the password file ${this.#file}: ${absent ? 'there is no such file' : messageOf(cause)}`,
        { ...(absent ? { hint: `make it with: htpasswd -B -c ${this.#file} USER` } : {}), cause },
      );
    }
  }
}

/**
 * Users and their bcrypt hashes.
 * @throws SlipwayError E_USAGE with the line of what is not bcrypt.
 */
export function parseHtpasswd(text: string, file: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const hash = line.slice(colon + 1).trim();
    if (colon <= 0 || !/^\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
      throw new SlipwayError('E_USAGE', `${file}:${index + 1}: not USER:BCRYPT-HASH`, {
        hint: `write it with: htpasswd -B ${file} USER`,
      });
    }
    users.set(line.slice(0, colon), hash);
  }
  return users;
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

function refused(authorization: string | undefined): HttpError {
  const why = authorization === undefined ? 'authentication required' : 'the user name or the password is wrong';
  return new HttpError(401, 'UNAUTHORIZED', why, { 'www-authenticate': 'Basic realm="slipway", charset="UTF-8"' });
}

function parseBasic(header: string | undefined): Credentials | undefined {
  const encoded = /^basic ([A-Za-z0-9+/=_-]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
