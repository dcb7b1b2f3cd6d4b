import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import { type Digest, hexOf, shortDigest } from '../../image/digest.js';
import { successors } from '../../image/graph.js';
import { isIndexType } from '../../image/media-types.js';
import { type Descriptor, MANIFEST_LIMIT, parseImageDocument } from '../../image/oci.js';
import { DAMAGED_DIRECTORY } from '../collect.js';
import type { Store } from '../store.js';
import { type CheckOptions, type CheckResult, checkStore } from './check.js';
import type { CheckReport, Damage, Lost, Mended } from './report.js';

export interface RepairOptions extends CheckOptions {
  /**
   * Brings a blob into the store from where it may be had, in place of what is there.
   * @returns where it came from. @throws SlipwayError that says why it cannot be had.
   */
  readonly fetch: (blob: Lost) => Promise<string>;
  /** Seconds to wait for others that use the store, before what is damaged is taken away. Default 10. */
  readonly waitSeconds?: number;
}

/** A fetched manifest may name blobs that are missing too, and those of an index twice. */
const MOST_ROUNDS = 4;

/**
 * Checks the store and mends what can be mended: blobs are fetched again, what is derived is removed and will be made again, of a damaged
 * index the names that can be read are kept. No name is taken away. A damaged blob that cannot be had is set aside in `damaged/`, so that a
 * pull, load or build brings it anew.
 * @returns what is damaged still, with the next step for each, and what was mended.
 */
export async function repairStore(store: Store, options: RepairOptions): Promise<CheckReport> {
  const { reporter = silentReporter, fetch, waitSeconds = 10 } = options;
  const mended: Mended[] = [];
  const failures = new Map<Digest, string>();
  let result = await checkStore(store, options);
  if (result.indexDamaged) {
    mended.push(...(await store.use(() => rescueIndex(store))));
    result = await checkStore(store, options, result.whole);
  }
  for (let round = 0; round < MOST_ROUNDS && result.lost.length > 0; round++) {
    const fetched = await store.use(() => fetchAll(result.lost, fetch, failures, reporter));
    mended.push(...fetched);
    if (fetched.length === 0) break;
    result = await checkStore(store, options, result.whole);
  }
  if (result.derived.length > 0 || result.useless.length > 0 || result.lost.some(({ present }) => present)) {
    const removed = await store.exclusively(() => removeDamaged(store, result), { waitSeconds });
    if (removed === undefined)
      reporter.warn(
        'another process uses the store: what is damaged was not taken away; repair again when it has finished',
      );
    else {
      mended.push(...removed);
      result = await checkStore(store, options, result.whole);
    }
  }
  return { ...result.report, mended, damaged: result.report.damaged.map((damage) => withFailure(damage, failures)) };
}

async function fetchAll(
  lost: readonly Lost[],
  fetch: RepairOptions['fetch'],
  failures: Map<Digest, string>,
  reporter: Reporter,
): Promise<Mended[]> {
  const mended: Mended[] = [];
  for (const blob of lost) {
    if (failures.has(blob.digest)) continue;
    try {
      mended.push({ kind: 'blob', id: blob.digest, action: `fetched from ${await fetch(blob)}` });
    } catch (error) {
      if (!isSlipwayError(error) || ['E_INTERRUPTED', 'E_NO_SPACE', 'E_PERMISSION'].includes(error.code)) throw error;
      failures.set(blob.digest, error.message);
      reporter.warn(`blob ${shortDigest(blob.digest)} cannot be fetched: ${error.message}`);
    }
  }
  return mended;
}

async function removeDamaged(store: Store, { derived, useless, lost }: CheckResult): Promise<Mended[]> {
  const mended: Mended[] = [];
  for (const { kind, id, path, mountedAt } of derived) {
    if (kind === 'unpacked-layer' && mountedAt !== undefined) continue; // what is mounted needs its files
    await store.temp.discard(path);
    mended.push({ kind, id, action: 'removed; it is made again when it is needed' });
  }
  for (const digest of useless) {
    await store.blobs.remove(digest);
    mended.push({ kind: 'blob', id: digest, action: 'removed; nothing needed it' });
  }
  for (const { digest, present } of lost) {
    if (!present) continue;
    const aside = join(store.root, DAMAGED_DIRECTORY, hexOf(digest));
    await makeDirectory(dirname(aside));
    await rename(store.blobPath(digest), aside);
    mended.push({ kind: 'blob', id: digest, action: `set aside as ${aside}, so that it can be brought anew` });
  }
  return mended;
}

/** The names that can be read stay; images of the store that none of them reaches get the name `recovered:ID`, so that no prune takes them. */
async function rescueIndex(store: Store): Promise<Mended[]> {
  const images = await store.readableImages();
  const documents = await storedDocuments(store);
  const reached = new Set<Digest>();
  const visit = ({ digest }: Pick<Descriptor, 'digest'>): void => {
    if (reached.has(digest)) return;
    reached.add(digest);
    for (const child of documents.get(digest)?.children ?? []) visit(child);
  };
  for (const { descriptor } of images) visit(descriptor);
  const inIndex = new Set(
    [...documents.values()].flatMap(({ descriptor, children }) =>
      isIndexType(descriptor.mediaType) ? children.map(({ digest }) => digest) : [],
    ),
  );
  const found = [...documents.values()]
    .filter(({ descriptor }) => !reached.has(descriptor.digest) && !inIndex.has(descriptor.digest))
    .map(({ descriptor }) => ({ name: `recovered:${shortDigest(descriptor.digest)}`, descriptor }));
  const kept = await store.rewriteIndex([...images, ...found]);
  const names =
    found.length === 0
      ? ''
      : `, ${found.length} images without a name are called ${found.map(({ name }) => name).join(', ')}`;
  return [
    {
      kind: 'index',
      id: 'index.json',
      action: `written anew: ${images.length} names could be read${names}; the old one is ${kept}`,
    },
  ];
}

interface StoredDocument {
  readonly descriptor: Descriptor;
  readonly children: readonly Descriptor[];
}

/** Every manifest and index among the blobs. */
async function storedDocuments(store: Store): Promise<ReadonlyMap<Digest, StoredDocument>> {
  const documents = new Map<Digest, StoredDocument>();
  for (const { digest, size } of await store.listBlobs()) {
    if (size > MANIFEST_LIMIT) continue;
    try {
      const bytes = await store.readBlob({ digest, size }, MANIFEST_LIMIT);
      if (bytes[0] !== 0x7b || !bytes.includes('"schemaVersion"')) continue; // {
      const document = parseImageDocument(bytes, undefined, digest);
      documents.set(digest, {
        descriptor: { mediaType: document.mediaType, digest, size },
        children: successors(document),
      });
    } catch (error) {
      if (!isSlipwayError(error)) throw error; // no document, or a damaged one
    }
  }
  return documents;
}

function withFailure(damage: Damage, failures: ReadonlyMap<Digest, string>): Damage {
  const why = failures.get(damage.id as Digest);
  if (why === undefined) return damage;
  const names = damage.images.filter((name) => !name.startsWith('mount at '));
  return {
    ...damage,
    next: `it cannot be fetched (${why}): pull, load or build ${names.join(' and ')} again, or remove it with slipway rmi`,
  };
}
