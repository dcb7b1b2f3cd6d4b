import { open, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { fingerprint, hostName, type KnownHost, keyTypeOf, knownHostLine, parseKnownHosts } from './known-hosts.js';

/**
 * What to do about a host's SSH key. `strict`: it must be on record. `tofu` (trust on first use): a host without a record
 * is believed once and put on record; from then on as strict. `off`: any key will do, nothing is recorded.
 */
export type HostKeyMode = 'strict' | 'tofu' | 'off';

export interface HostKeyPolicy {
  readonly mode?: HostKeyMode | undefined;
  /** Where first uses are recorded. Default: the user's `~/.ssh/known_hosts`. */
  readonly recordFile?: string | undefined;
  /** Read besides. Default: `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. */
  readonly readFiles?: readonly string[] | undefined;
}

/** Host key algorithms we speak, best first. SHA-1 signatures (`ssh-rsa`) and DSA are not among them. */
const ALGORITHMS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;

export type HostKeyAlgorithm = (typeof ALGORITHMS)[number];

/** The key that signs with an algorithm (RFC 8332: the rsa-sha2 algorithms use ssh-rsa keys). */
function keyTypeFor(algorithm: HostKeyAlgorithm): string {
  return algorithm.startsWith('rsa-') ? 'ssh-rsa' : algorithm;
}

/** The check of one host's key, prepared before the connection is made. */
export interface HostKeyCheck {
  /** In the order to ask for: types on record first, so that a host with several keys shows the one we know. */
  readonly algorithms: readonly HostKeyAlgorithm[];
  /** The reason to refuse this key, or undefined. */
  refusal(key: Buffer): SlipwayError | undefined;
  /**
   * Puts an accepted key on record when there is none yet. To be called once the host has proved that it holds the key.
   * @throws SlipwayError E_HOST_KEY when another process has recorded another key meanwhile; E_PERMISSION, E_NO_SPACE
   */
  record(key: Buffer): Promise<void>;
}

/**
 * Reads the known_hosts files and prepares the check of `address`.
 * @throws SlipwayError E_PERMISSION when a file is there and cannot be read
 */
export async function prepareHostKeyCheck(
  address: string,
  port: number,
  { mode = 'tofu', recordFile = userFile(), readFiles = [userFile(), '/etc/ssh/ssh_known_hosts'] }: HostKeyPolicy = {},
): Promise<HostKeyCheck> {
  const name = hostName(address, port);
  if (mode === 'off') return { algorithms: ALGORITHMS, refusal: () => undefined, record: async () => {} };
  const files = [...new Set([recordFile, ...readFiles])];
  const known = (await Promise.all(files.map(readKnownHosts))).flat().filter((entry) => entry.matches(name));
  const recorded = new Set(known.filter((entry) => !entry.revoked).map(({ keyType }) => keyType));
  const first = ALGORITHMS.filter((algorithm) => recorded.has(keyTypeFor(algorithm)));
  return {
    algorithms: [...first, ...ALGORITHMS.filter((algorithm) => !first.includes(algorithm))],
    refusal: (key) => refusal({ address, name, mode, files, known }, key),
    record: async (key) => {
      if (recorded.size === 0) await record({ address, name, mode, files, known }, recordFile, key);
    },
  };
}

function userFile(): string {
  return join(homedir(), '.ssh', 'known_hosts');
}

async function readKnownHosts(file: string): Promise<KnownHost[]> {
  try {
    return parseKnownHosts(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw fileSystemError(error, `reading the known hosts in ${file}`);
  }
}

interface Subject {
  readonly address: string;
  readonly name: string;
  readonly mode: HostKeyMode;
  readonly files: readonly string[];
  /** The lines that match the host. */
  readonly known: readonly KnownHost[];
}

function refusal({ address, name, mode, files, known }: Subject, key: Buffer): SlipwayError | undefined {
  const shown = `${keyTypeOf(key)} ${fingerprint(key)}`;
  const revoked = known.find((entry) => entry.revoked && entry.key.equals(key));
  if (revoked !== undefined) {
    return new SlipwayError(
      'E_HOST_KEY',
      `host ${address}: its SSH host key ${shown} is marked as revoked in ${revoked.file}:${revoked.line}`,
      { hint: 'do not connect to this host until it has new keys' },
    );
  }
  const valid = known.filter((entry) => !entry.revoked);
  if (valid.some((entry) => entry.key.equals(key))) return undefined;
  const same = valid.find((entry) => entry.keyType === keyTypeOf(key)) ?? valid[0];
  if (same !== undefined) {
    return new SlipwayError(
      'E_HOST_KEY',
      `host ${address}: its SSH host key is not the one on record: the host shows ${shown}, ` +
        `${same.file}:${same.line} has ${same.keyType} ${fingerprint(same.key)}`,
      {
        hint:
          `someone may be between you and the host; if it was reinstalled, take line ${same.line} out of ${same.file} ` +
          `(ssh-keygen -R '${name}' -f '${same.file}') and run again`,
        details: { host: address, shown: fingerprint(key), recorded: fingerprint(same.key) },
      },
    );
  }
  if (mode !== 'strict') return undefined;
  return new SlipwayError(
    'E_HOST_KEY',
    `host ${address}: its SSH host key ${shown} is not on record in ${files.join(', ')}`,
    {
      hint: `compare it with ssh-keygen -lf on the host, then add "${knownHostLine(name, key)}" to ${files[0]}, or use --host-key-check=tofu`,
      details: { host: address, shown: fingerprint(key) },
    },
  );
}

/**
 * Appends a line, in one write, to a file of mode 0600. Two processes may meet a new host at the same time and see
 * different keys: the earlier line in the file counts, so the later process refuses what it has just accepted.
 */
async function record(subject: Subject, file: string, key: Buffer): Promise<void> {
  if (await onRecord(subject, file, key)) return;
  const line = knownHostLine(subject.name, key);
  try {
    await makeDirectory(dirname(file), 0o700);
    const handle = await open(file, 'a+', 0o600);
    try {
      const { size } = await handle.stat();
      const last = size === 0 ? '\n' : (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer.toString('latin1');
      // a line that a crash or a full disk cut must not swallow ours
      const text = `${last === '\n' ? '' : '\n'}${line}\n`;
      await handle.write(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileSystemError(error, `recording the key of host ${subject.address} in ${file}`);
  }
  await onRecord(subject, file, key);
}

/**
 * Whether the file has this key for the host.
 * @throws SlipwayError E_HOST_KEY when it has another one
 */
async function onRecord(subject: Subject, file: string, key: Buffer): Promise<boolean> {
  const known = (await readKnownHosts(file)).filter((entry) => entry.matches(subject.name));
  const earliest = known.find((entry) => !entry.revoked);
  if (earliest === undefined || earliest.key.equals(key)) return earliest !== undefined;
  throw refusal({ ...subject, known: [earliest] }, key);
}
