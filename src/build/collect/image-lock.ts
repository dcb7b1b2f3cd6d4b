import { open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import * as z from 'zod';
import { errnoOf, isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { type Digest, parseDigest } from '../../image/digest.js';
import { formatPlatform, normalizePlatform, type Platform, parsePlatform } from '../../image/platform.js';
import { canonicalName, parseReference } from '../../image/reference.js';
import { replaceFile } from '../../store/durable.js';
import { withLock } from '../../store/locks.js';
import type { Store } from '../../store/store.js';

/** In the build context. */
export const LOCK_FILE = 'imageList.lock';
const LOCK_LIMIT = 16 * 1024 * 1024;

/** `use`: what the file says, where there is one; `update`: ask anew and write it; `ignore`: as if there were none. */
export const LOCK_MODES = ['use', 'update', 'ignore'] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** Digests of manifests by canonical image name, then by platform. */
export type LockedImages = ReadonlyMap<string, ReadonlyMap<string, Digest>>;

const fileSchema = z.strictObject({
  version: z.literal(1),
  images: z.record(z.string(), z.record(z.string(), z.string())),
});

const HEAD = `# The container images of this build context, by digest. Written by "slipway build --lock update" or "slipway images-in --lock update";
# builds fetch exactly these. Keep it under version control.
`;

/**
 * Reads a lock file.
 * @throws SlipwayError E_STALE_LOCK naming the file, when it is no lock file or of another version.
 */
export function parseImageLock(text: string, file: string): LockedImages {
  const fail = (why: string): never => {
    throw new SlipwayError('E_STALE_LOCK', `${file}: ${why}`, {
      hint: 'write it anew with --lock update, or build without it: --lock ignore',
    });
  };
  try {
    const document = parseDocument(text, { uniqueKeys: true });
    const [error] = document.errors;
    if (error !== undefined) return fail(`not valid YAML: ${error.message.split('\n', 1)[0]}`);
    const parsed = fileSchema.safeParse(document.toJS({ maxAliasCount: 0 }));
    if (!parsed.success) return fail(`not a lock file: ${zodProblems(parsed.error)}`);
    const locked = new Map<string, Map<string, Digest>>();
    for (const [name, platforms] of Object.entries(parsed.data.images)) {
      const digests = new Map<string, Digest>();
      for (const [platform, digest] of Object.entries(platforms))
        digests.set(formatPlatform(parsePlatform(platform)), parseDigest(digest));
      locked.set(canonicalName(parseReference(name)), digests);
    }
    return locked;
  } catch (error) {
    if (isSlipwayError(error, 'E_STALE_LOCK')) throw error;
    return fail(messageOf(error)); // a name, platform or digest that is none; an alias
  }
}

/** The text of a lock file: sorted, one image and one platform a line, so that a change of one image is a change of one line. */
export function formatImageLock(locked: LockedImages): string {
  const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);
  const lines = [...locked]
    .filter(([, platforms]) => platforms.size > 0)
    .sort(byName)
    .flatMap(([name, platforms]) => [
      `  ${name}:`,
      ...[...platforms].sort(byName).map(([platform, digest]) => `    ${platform}: ${digest}`),
    ]);
  return `${HEAD}version: 1\nimages:${lines.length === 0 ? ' {}' : `\n${lines.join('\n')}`}\n`;
}

/** The lock file of a build context, for all platforms of one build. */
export class ImageLock {
  readonly file: string;
  readonly mode: LockMode;
  readonly #locked: LockedImages | undefined;
  /** By platform: what this build has found. */
  readonly #seen = new Map<string, Map<string, Digest>>();

  private constructor(file: string, mode: LockMode, locked: LockedImages | undefined) {
    this.file = file;
    this.mode = mode;
    this.#locked = locked;
  }

  /** @param context the build context. @throws SlipwayError E_STALE_LOCK when there is a file that is no lock file. */
  static async open(context: string, mode: LockMode): Promise<ImageLock> {
    const file = join(context, LOCK_FILE);
    const text = mode === 'use' ? await readSmall(file) : undefined;
    return new ImageLock(file, mode, text === undefined ? undefined : parseImageLock(text, file));
  }

  /** True when there is a file and it is to be used. */
  get active(): boolean {
    return this.#locked !== undefined;
  }

  /** The manifest that a name is locked to for a platform. */
  digest(name: string, platform: Platform): Digest | undefined {
    return this.#locked?.get(name)?.get(platformText(platform));
  }

  /** Notes what a build uses for a platform. */
  record(name: string, platform: Platform, digest: Digest): void {
    const text = platformText(platform);
    const seen = this.#seen.get(text) ?? new Map<string, Digest>();
    this.#seen.set(text, seen.set(name, digest));
  }

  /** Notes that a platform was built, also when it needs no image. */
  begin(platform: Platform): void {
    const text = platformText(platform);
    if (!this.#seen.has(text)) this.#seen.set(text, new Map());
  }

  /** Locked images that the builds did not ask for, for the platforms that were built. */
  unused(): string[] {
    const unused: string[] = [];
    for (const [name, platforms] of this.#locked ?? []) {
      for (const platform of platforms.keys()) {
        const seen = this.#seen.get(platform);
        if (seen !== undefined && !seen.has(name)) unused.push(`${name} (${platform})`);
      }
    }
    return unused;
  }

  /**
   * With `update`: writes the file. The platforms of this build have what it found; other platforms keep what the file says of them.
   * @returns the file when it was written, or is as it was.
   */
  async save(store: Store): Promise<string | undefined> {
    if (this.mode !== 'update') return undefined;
    return withLock(join(store.root, 'image-lock.lock'), 'exclusive', this.file, async () => {
      const before = await readSmall(this.file);
      const locked = new Map<string, Map<string, Digest>>();
      const set = (name: string, platform: string, digest: Digest): void => {
        locked.set(name, (locked.get(name) ?? new Map<string, Digest>()).set(platform, digest));
      };
      for (const [name, platforms] of before === undefined ? [] : parseImageLock(before, this.file)) {
        for (const [platform, digest] of platforms) if (!this.#seen.has(platform)) set(name, platform, digest);
      }
      for (const [platform, images] of this.#seen) for (const [name, digest] of images) set(name, platform, digest);
      const text = formatImageLock(locked);
      // Next to the file: the store may be on another disk, and a rename must stay on one.
      const target = await realpath(this.file).catch(() => this.file);
      if (text !== before) await replaceFile(target, `${target}.${process.pid}.new`, text);
      return this.file;
    });
  }
}

function platformText(platform: Platform): string {
  return formatPlatform(normalizePlatform(platform));
}

async function readSmall(file: string): Promise<string | undefined> {
  try {
    const handle = await open(file, 'r');
    try {
      const found = await handle.stat();
      if (!found.isFile() || found.size > LOCK_LIMIT)
        throw new SlipwayError('E_STALE_LOCK', `${file} is no regular file, or has over ${LOCK_LIMIT} bytes`);
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (error instanceof SlipwayError) throw error;
    throw new SlipwayError('E_STALE_LOCK', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}
