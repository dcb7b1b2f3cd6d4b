import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import bcrypt from 'bcryptjs';
import { messageOf, SlipwayError } from '../../base/errors.js';
import { HttpError } from './http-error.js';

/** How many proven Authorization headers are remembered: bcrypt is slow on purpose, and a push makes hundreds of requests. */
const REMEMBERED = 1000;
/** Compared with when there are no users at all. */
const NOBODY = '$2b$10$C6UzMDM.H6dfI/f/IKcEeO7ZdKSzMc9cNQxnWnWOmYDhqk2dmZJXS';

/**
 * Lets in who is in an Apache htpasswd file (bcrypt only, as `htpasswd -B` writes it). The file is read again when it changes.
 */
export class Htpasswd {
  readonly #file: string;
  #users: ReadonlyMap<string, string> = new Map();
  #version = '';
  readonly #proven = new Set<string>();
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

  /** @throws HttpError 401 with a challenge. */
  async check(authorization: string | undefined): Promise<void> {
    await this.#reload();
    const key = createHash('sha256')
      .update(authorization ?? '')
      .digest('hex');
    if (this.#proven.has(key)) return;
    const version = this.#version;
    const question = `${version} ${key}`;
    let proof = this.#pending.get(question);
    if (proof === undefined) {
      proof = this.#isKnown(authorization).finally(() => this.#pending.delete(question));
      this.#pending.set(question, proof);
    }
    if (await proof) {
      if (version !== this.#version) return this.check(authorization);
      if (this.#proven.size >= REMEMBERED) this.#proven.clear();
      this.#proven.add(key);
      return;
    }
    const why = authorization === undefined ? 'authentication required' : 'the user name or the password is wrong';
    throw new HttpError(401, 'UNAUTHORIZED', why, { 'www-authenticate': 'Basic realm="slipway", charset="UTF-8"' });
  }

  async #isKnown(authorization: string | undefined): Promise<boolean> {
    const credentials = parseBasic(authorization);
    if (credentials === undefined) return false;
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
      throw new SlipwayError('E_USAGE', `cannot read the password file ${this.#file}: ${messageOf(cause)}`, { cause });
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

function parseBasic(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/=_-]+)$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
