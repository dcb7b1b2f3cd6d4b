import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** One line of an OpenSSH known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
export interface KnownHost {
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  readonly revoked: boolean;
  /** `ssh-ed25519`, `ssh-rsa` … */
  readonly keyType: string;
  readonly key: Buffer;
  /** Whether the line is about a host, named as {@link hostName} names it. */
  matches(name: string): boolean;
}

/** How known_hosts calls a host: the address alone on port 22, `[address]:port` on others. */
export function hostName(address: string, port: number): string {
  return port === 22 ? address : `[${address}]:${port}`;
}

/** `SHA256:…` of a public key blob, as `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The key type a public key blob names (RFC 4253 section 6.6: its first string), or '' when the blob is malformed. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return length <= 64 && 4 + length <= key.length ? key.toString('latin1', 4, 4 + length) : '';
}

/** A line for {@link parseKnownHosts} to find again. */
export function knownHostLine(name: string, key: Buffer): string {
  return `${name} ${keyTypeOf(key)} ${key.toString('base64')}`;
}

/**
 * Reads a known_hosts file. Lines that cannot be read are passed over, as ssh does; so are certificate authorities, which
 * are not used here.
 */
export function parseKnownHosts(text: string, file: string): KnownHost[] {
  return text.split('\n').flatMap((content, index) => {
    const words = content.trim().split(/[ \t]+/);
    const marker = words[0]?.startsWith('@') === true ? words.shift() : undefined;
    const [patterns, keyType, encoded] = words;
    if (patterns === undefined || keyType === undefined || encoded === undefined || patterns.startsWith('#')) return [];
    if (marker !== undefined && marker !== '@revoked') return [];
    const key = Buffer.from(encoded, 'base64');
    if (keyTypeOf(key) !== keyType) return [];
    const matches = patterns.startsWith('|') ? hashedMatcher(patterns) : patternMatcher(patterns.split(','));
    return [{ file, line: index + 1, revoked: marker === '@revoked', keyType, key, matches }];
  });
}

/** `|1|salt|hash`: HMAC-SHA1 of the name with the salt as its key, both in base64. */
function hashedMatcher(field: string): (name: string) => boolean {
  const [, version, salt = '', hash = ''] = field.split('|');
  const wanted = Buffer.from(hash, 'base64');
  return (name) => {
    if (version !== '1') return false;
    const found = createHmac('sha1', Buffer.from(salt, 'base64')).update(name.toLowerCase()).digest();
    return found.length === wanted.length && timingSafeEqual(found, wanted);
  };
}

/** Patterns with `*` and `?`; one that begins with `!` excludes, whatever else matches. */
function patternMatcher(patterns: readonly string[]): (name: string) => boolean {
  const tests = patterns.map((pattern) => {
    const negated = pattern.startsWith('!');
    const body = (negated ? pattern.slice(1) : pattern).toLowerCase();
    const source = body
      .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return { negated, test: new RegExp(`^${source}$`) };
  });
  return (name) => {
    const lower = name.toLowerCase();
    const hits = tests.filter(({ test }) => test.test(lower));
    return hits.length > 0 && hits.every(({ negated }) => !negated);
  };
}
