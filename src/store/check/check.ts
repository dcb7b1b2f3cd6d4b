import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isSlipwayError, messageOf } from '../../base/errors.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import { type Digest, hexOf, isDigest, sha256Digest } from '../../image/digest.js';
import { compressionOf, isNondistributable } from '../../image/media-types.js';
import { type CacheItem, cacheItems } from '../cache-items.js';
import { layerDirectory, layerSuffix } from '../layer-store.js';
import type { MountKind } from '../mount-records.js';
import { imageMounts } from '../mounts.js';
import { otherRoots } from '../other-roots.js';
import type { Store } from '../store.js';
import type { CheckTask, CheckVerdict, LayerVerdict } from './check-blob.js';
import { runChecks } from './check-pool.js';
import { type Reach, type Root, reachAll } from './reach.js';
import type { CheckReport, Damage, Lost } from './report.js';

export interface CheckOptions {
  /** Hash the files of unpacked layers too, and compare their extended attributes. Default false: types, modes, owners, sizes, times. */
  readonly content?: boolean | undefined;
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a check knows beyond its report; a repair works with it. */
export interface CheckResult {
  readonly report: CheckReport;
  readonly lost: readonly Lost[];
  /** Derived things that are damaged, with where they are. */
  readonly derived: readonly DerivedDamage[];
  /** Damaged blobs that nothing needs. */
  readonly useless: readonly Digest[];
  readonly indexDamaged: boolean;
  /** Blobs, with all that hangs on them, that were found whole: a second check of the same run need not read them again. */
  readonly whole: ReadonlyMap<Digest, CheckVerdict>;
}

export interface DerivedDamage {
  readonly kind: 'toc' | 'unpacked-layer' | 'cache-record';
  readonly id: string;
  readonly path: string;
  readonly mountedAt?: string | undefined;
}

const REPAIR = 'slipway store check --repair';

/**
 * Reads everything in the store and says what is damaged, and which images need it. Changes nothing. Others may use the store meanwhile, only
 * what deletes waits.
 * @param known verdicts of an earlier check in this run that need not be found again.
 */
export function checkStore(
  store: Store,
  options: CheckOptions = {},
  known: ReadonlyMap<Digest, CheckVerdict> = new Map(),
): Promise<CheckResult> {
  return store.use(() => checkAll(store, options, known));
}

async function checkAll(
  store: Store,
  { content = false, reporter = silentReporter, signal }: CheckOptions,
  known: ReadonlyMap<Digest, CheckVerdict>,
): Promise<CheckResult> {
  const index = await readIndex(store);
  const cache = await cacheItems(store);
  const mounts = await imageMounts(store);
  const roots = [...index.roots, ...(await otherRoots(store))];
  const reach = await reachAll(store, roots, cache);
  const stored = await listBlobs(store);
  const places = {
    tocs: join(store.root, 'tocs'),
    layers: join(store.root, 'data', 'overlay2'),
    suffix: layerSuffix(),
    content,
  };
  const todo = stored.blobs.filter(({ digest }) => !known.has(digest));
  const tasks = todo.map(({ digest }): CheckTask => {
    const named = reach.blobs.get(digest);
    const compression = named === undefined || named.diffIds.size === 0 ? undefined : compressionOf(named.mediaType);
    const layer = compression === undefined ? {} : { layer: { compression, ...places } };
    return { kind: 'blob', digest, file: store.blobPath(digest), ...layer };
  });
  const bytes = stored.blobs.reduce((sum, { size }) => sum + size, 0);
  const verdicts = new Map<Digest, CheckVerdict>(known);
  await runTasks(tasks, `check ${stored.blobs.length} blobs`, bytes, reporter, signal, (verdict, position) => {
    const blob = todo[position];
    if (blob !== undefined) verdicts.set(blob.digest, verdict);
  });
  const layers = new Map<Digest, LayerVerdict>();
  for (const { layer } of verdicts.values()) if (layer?.diffId !== undefined) layers.set(layer.diffId, layer);
  const tocs = hexes(await namesIn(places.tocs), '.json.gz');
  const allUnpacked = await directoriesIn(places.layers);
  const unpacked = hexes(allUnpacked, places.suffix);
  const alone = [...new Set([...tocs, ...unpacked])].filter((diffId) => !layers.has(diffId));
  await runTasks(
    alone.map((diffId): CheckTask => ({ kind: 'derived', diffId, ...places })),
    `check ${alone.length} other layers`,
    0,
    reporter,
    signal,
    ({ layer }, position) => {
      const diffId = alone[position];
      if (layer !== undefined && diffId !== undefined) layers.set(diffId, layer);
    },
  );

  const lost = lostBlobs(reach, verdicts, stored.sizes);
  const derived = [...derivedDamage(store, reach, layers, mounts), ...cacheDamage(store, cache, verdicts)];
  const useless = [...verdicts].flatMap(([digest, { problem }]) =>
    problem !== undefined && !reach.blobs.has(digest) ? [digest] : [],
  );
  const unreferenced = stored.blobs.filter(({ digest }) => !reach.blobs.has(digest));
  const damaged: Damage[] = [
    ...index.damage,
    ...(await Promise.all(lost.map((blob) => blobDamage(store, blob, verdicts)))),
    ...imageDamage(reach, verdicts),
    ...derived.map(({ damage }) => damage),
    ...useless.map((digest) => ({
      kind: 'blob' as const,
      id: digest,
      problem: verdicts.get(digest)?.problem ?? '',
      images: [],
      next: `nothing needs it: "${REPAIR}" or "slipway prune" removes it`,
    })),
  ];
  return {
    report: {
      root: store.root,
      checked: {
        images: index.roots.length,
        blobs: stored.blobs.length,
        bytes,
        tocs: tocs.length,
        unpackedLayers: unpacked.length,
        cacheRecords: cache.filter(({ kind }) => kind !== 'mount').length,
      },
      damaged,
      mended: [],
      unreferenced: {
        blobs: unreferenced.length,
        bytes: unreferenced.reduce((sum, { size }) => sum + size, 0),
      },
      unpackedElsewhere: allUnpacked.length - unpacked.length,
      leftovers: await store.temp.leftovers(),
      strangers: stored.strangers,
    },
    lost,
    derived: derived.map(({ damage: _, ...rest }) => rest),
    useless,
    indexDamaged: index.damage.length > 0,
    whole: new Map([...verdicts].filter(([, verdict]) => isWhole(verdict))),
  };
}

async function readIndex(store: Store): Promise<{ readonly roots: readonly Root[]; readonly damage: Damage[] }> {
  try {
    return { roots: await store.images(), damage: [] };
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    const damage: Damage = {
      kind: 'index',
      id: 'index.json',
      problem: messageOf(error).replace(/^.*?index\.json:? (?:is )?/, ''),
      images: [],
      next: `bring it back from a copy; or "${REPAIR}" keeps the names that can be read and finds images without a name`,
    };
    return { roots: await store.readableImages(), damage: [damage] };
  }
}

async function runTasks(
  tasks: readonly CheckTask[],
  title: string,
  bytes: number,
  reporter: Reporter,
  signal: AbortSignal | undefined,
  take: (verdict: CheckVerdict, position: number) => void,
): Promise<void> {
  if (tasks.length === 0) return;
  const task = reporter.task(title, bytes);
  try {
    const verdicts = await runChecks(tasks, { progress: (more) => task.advance(more), signal });
    for (const [position, verdict] of verdicts.entries()) take(verdict, position);
    task.done();
  } catch (error) {
    task.fail();
    throw error;
  }
}

/** What images need and is missing or damaged. Damage of what only the build cache names is told of its records. */
function lostBlobs(
  { blobs, ofImage }: Reach,
  verdicts: ReadonlyMap<Digest, CheckVerdict>,
  present: ReadonlyMap<Digest, number>,
): Lost[] {
  return [...blobs.values()].flatMap(({ digest, sizes, mediaType, images, optional }) => {
    const here = present.has(digest);
    if (here ? verdicts.get(digest)?.problem === undefined : optional) return [];
    if (images.size === 0) return [];
    const siblings = new Set([...images].flatMap((name) => [...(ofImage.get(name) ?? [])]));
    siblings.delete(digest);
    const [size = 0] = sizes;
    return [{ digest, size, mediaType, present: here, images: [...images].sort(), siblings: [...siblings] }];
  });
}

async function blobDamage(
  store: Store,
  { digest, images, siblings, present }: Lost,
  verdicts: ReadonlyMap<Digest, CheckVerdict>,
): Promise<Damage> {
  const sources = await Promise.all([digest, ...siblings].map((id) => store.sourcesOf(id)));
  const places = new Set(sources.flat().map(({ host, repository }) => `${host}/${repository}`));
  const names = images.filter((name) => !name.startsWith('mount at ')).join(', ');
  return {
    kind: 'blob',
    id: digest,
    problem: present ? (verdicts.get(digest)?.problem ?? 'is damaged') : 'is missing',
    images,
    next:
      places.size > 0
        ? `"${REPAIR}" fetches it from ${[...places].slice(0, 3).join(' or ')}`
        : `pull, load or build ${names || 'the image'} again after "${REPAIR}", or remove it with slipway rmi`,
  };
}

/** Documents that are what their digest says, and wrong all the same. */
function imageDamage({ blobs, malformed }: Reach, verdicts: ReadonlyMap<Digest, CheckVerdict>): Damage[] {
  const found: Damage[] = [];
  const add = (name: string, problem: string): void => {
    found.push({
      kind: 'image',
      id: name,
      problem,
      images: [name],
      next: `pull or build it again from a source you trust, or remove it: slipway rmi ${name}`,
    });
  };
  for (const [name, problem] of malformed) add(name, `is malformed: ${problem}`);
  for (const { digest, sizes, diffIds, images } of blobs.values()) {
    const verdict = verdicts.get(digest);
    if (verdict === undefined || verdict.problem !== undefined) continue;
    for (const size of sizes)
      if (size !== verdict.size)
        for (const name of images) add(name, `says that blob ${digest} has ${size} bytes, it has ${verdict.size}`);
    for (const [diffId, names] of diffIds) {
      const { layer } = verdict;
      if (layer === undefined || layer.diffId === diffId) continue;
      const why =
        layer.diffId === undefined
          ? `cannot be unpacked: ${layer.problem}`
          : `unpacks to ${layer.diffId}, its config says ${diffId}`;
      for (const name of names) add(name, `has a layer ${digest} that ${why}`);
    }
  }
  return found;
}

type WithDamage = DerivedDamage & { readonly damage: Damage };

function derivedDamage(
  store: Store,
  { blobs }: Reach,
  layers: ReadonlyMap<Digest, LayerVerdict>,
  mounts: readonly { readonly target: string; readonly kind: MountKind }[],
): WithDamage[] {
  const users = new Map<Digest, Set<string>>();
  for (const { diffIds } of blobs.values()) {
    for (const [diffId, images] of diffIds) users.set(diffId, new Set([...(users.get(diffId) ?? []), ...images]));
  }
  return [...layers].flatMap(([diffId, { toc, unpacked }]) => {
    const images = [...(users.get(diffId) ?? [])].sort();
    const found: WithDamage[] = [];
    const add = (kind: 'toc' | 'unpacked-layer', path: string, problem: string): void => {
      // A copy does not need the layers any more.
      const mountedAt = mounts.find(
        ({ target, kind: how }) => how !== 'copy' && images.includes(`mount at ${target}`),
      )?.target;
      const next =
        kind === 'unpacked-layer' && mountedAt !== undefined
          ? `slipway umount ${mountedAt}, then "${REPAIR}"`
          : `"${REPAIR}" removes it; it is made again from the layer when it is needed`;
      found.push({ kind, id: diffId, path, mountedAt, damage: { kind, id: diffId, problem, images, next } });
    };
    if (typeof toc === 'object') add('toc', join(store.root, 'tocs', `${hexOf(diffId)}.json.gz`), toc.problem);
    if (typeof unpacked === 'object') add('unpacked-layer', layerDirectory(store, diffId), unpacked.problem);
    return found;
  });
}

function cacheDamage(
  { root }: Store,
  items: readonly CacheItem[],
  verdicts: ReadonlyMap<Digest, CheckVerdict>,
): WithDamage[] {
  return items.flatMap(({ path, blobs, broken }) => {
    const why = broken ? 'cannot be read, or what it names is not here' : brokenBlob(blobs, verdicts);
    if (why === undefined) return [];
    const id = path.slice(root.length + 1);
    const next = `"${REPAIR}" removes it; the next build makes it again`;
    return [{ kind: 'cache-record', id, path, damage: { kind: 'cache-record', id, problem: why, images: [], next } }];
  });
}

function brokenBlob(blobs: CacheItem['blobs'], verdicts: ReadonlyMap<Digest, CheckVerdict>): string | undefined {
  for (const { descriptor, diffId } of blobs) {
    const verdict = verdicts.get(descriptor.digest);
    if (verdict === undefined && isNondistributable(descriptor.mediaType)) continue;
    if (verdict === undefined) return `names blob ${descriptor.digest}, which is missing`;
    if (verdict.problem !== undefined) return `names blob ${descriptor.digest}, which ${verdict.problem}`;
    if (verdict.size !== descriptor.size) return `says that blob ${descriptor.digest} has ${descriptor.size} bytes`;
    if (diffId !== undefined && verdict.layer !== undefined && verdict.layer.diffId !== diffId)
      return `says that layer ${descriptor.digest} unpacks to ${diffId}`;
  }
  return undefined;
}

function isWhole({ problem, layer }: CheckVerdict): boolean {
  if (problem !== undefined) return false;
  return (
    layer === undefined ||
    (layer.diffId !== undefined && [layer.toc, layer.unpacked].every((part) => typeof part === 'string'))
  );
}

interface StoredBlobs {
  readonly blobs: readonly { readonly digest: Digest; readonly size: number }[];
  readonly sizes: ReadonlyMap<Digest, number>;
  readonly strangers: readonly string[];
}

async function listBlobs(store: Store): Promise<StoredBlobs> {
  // The biggest first: all processors are busy to the end.
  const blobs = (await store.listBlobs()).sort((a, b) => b.size - a.size);
  const sizes = new Map(blobs.map(({ digest, size }) => [digest, size]));
  const strangers: string[] = [];
  for (const algorithm of ['sha256', 'sha512']) {
    for (const hex of await namesIn(join(store.root, 'blobs', algorithm))) {
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest) || (await store.blobSize(digest)) === undefined)
        strangers.push(`blobs/${algorithm}/${hex}`);
    }
  }
  return { blobs, sizes, strangers };
}

/** The diffIDs in names that end so. */
function hexes(names: readonly string[], suffix: string): Digest[] {
  return names.flatMap((name) => {
    const hex = name.endsWith(suffix) ? name.slice(0, name.length - suffix.length) : '';
    return /^[a-f0-9]{64}$/.test(hex) ? [sha256Digest(hex)] : [];
  });
}

/** Unpacked layers have locks beside them. */
async function directoriesIn(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await namesIn(dir)) if (await isDirectory(join(dir, name))) found.push(name);
  return found;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
