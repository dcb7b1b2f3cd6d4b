import * as z from 'zod';
import { isSlipwayError } from '../base/errors.js';
import type { Application, ContainerImage } from '../image/cluster-image.js';
import { METADATA_PATH } from '../image/metadata.js';
import { formatPlatform } from '../image/platform.js';
import { parseReference, registryAddress } from '../image/reference.js';
import { ASPECTS, compareTrees, type FileFacts, type TreeChange } from '../layers/compare-trees.js';
import { type MergedTree, mergeTocs } from '../layers/merge.js';
import { imageSize, instructionOf, layerHistory } from './describe.js';
import { layersOf, readTocs } from './layer-store.js';
import type { LocalImage } from './local-image.js';
import { readLayerFile } from './rootfs-file.js';
import type { Store } from './store.js';

const METADATA_LIMIT = 1024 * 1024;
/** A link file of a registry holds a digest. */
const LINK_LIMIT = 256;
/** Where the cluster's registry keeps the names of the container images. */
const REPOSITORIES = 'registry/docker/registry/v2/repositories';

const count = z.int().nonnegative();
const value = z.json().describe('null when it is not there');

const factsSchema = z.object({
  type: z.enum(['file', 'dir', 'symlink', 'char', 'block', 'fifo']),
  mode: z.string().describe('Octal, with setuid, setgid and sticky: "0755".'),
  uid: count,
  gid: count,
  size: count,
  digest: z.string().optional(),
  linkTarget: z.string().optional(),
  xattrs: z.record(z.string(), z.string()).optional(),
  device: z.string().optional(),
});
const change = z.enum(['added', 'removed', 'changed']);
const fileSchema = z.object({
  path: z.string().describe('From the root, without a slash before it; "" is the root.'),
  change,
  aspects: z.array(z.enum(ASPECTS)).describe('In what it differs; empty unless it is changed.'),
  from: factsSchema.nullable(),
  to: factsSchema.nullable(),
});
const sumSchema = z.object({ files: count, bytes: count });
const imageSchema = z.object({ name: z.string(), digest: z.string(), size: count.describe('Bytes to download.') });
const layerSchema = z.object({ diffID: z.string(), digest: z.string(), size: count, instruction: z.string() });
const keySchema = z.object({ key: z.string(), from: value, to: value });

/** What `slipway diff --format json` prints. docs/diff.schema.json is made from this. */
export const imageDifferenceSchema = z
  .object({
    schemaVersion: z.literal(1),
    from: imageSchema,
    to: imageSchema,
    different: z.boolean(),
    files: z.object({
      added: sumSchema,
      removed: sumSchema,
      changed: sumSchema.describe('bytes: the sum of the differences in size, without their signs.'),
      entries: z.array(fileSchema).describe('Sorted by path. Times and hard links do not count.'),
    }),
    layers: z.object({
      shared: count,
      onlyFrom: z.array(layerSchema),
      onlyTo: z.array(layerSchema),
    }),
    settings: z
      .array(keySchema)
      .describe('type, platform, user, workdir, entrypoint, cmd, shell, author, launch.cmds, launch.apps'),
    metadata: z.array(keySchema).describe('Fields of the Metadata file.'),
    labels: z.array(keySchema),
    env: z.array(keySchema),
    applications: z.array(z.object({ name: z.string(), change, from: value, to: value })),
    containerImages: z.array(
      z.object({
        image: z.string(),
        change,
        fromDigest: z.string().nullable().describe('The manifest it stands for, when that has changed.'),
        toDigest: z.string().nullable(),
      }),
    ),
  })
  .meta({ title: 'slipway diff --format json' });
export type ImageDifference = z.infer<typeof imageDifferenceSchema>;
type Json = z.infer<typeof value>;

/** The JSON Schema of {@link imageDifferenceSchema}, as docs/diff.schema.json has it. */
export function imageDifferenceJsonSchema(): unknown {
  return z.toJSONSchema(imageDifferenceSchema);
}

/** An image and its merged tree. */
interface Side {
  readonly image: LocalImage;
  readonly tree: MergedTree;
}

/**
 * What is different in image `b`, seen from image `a`. Files are compared by tables of contents: nothing is unpacked.
 * @param wanted tells which paths count; the other parts do not depend on it.
 */
export async function compareImages(
  store: Store,
  a: LocalImage,
  b: LocalImage,
  wanted: (path: string) => boolean = () => true,
): Promise<ImageDifference> {
  const from: Side = { image: a, tree: mergeTocs(await readTocs(store, a)) };
  const to: Side = { image: b, tree: mergeTocs(await readTocs(store, b)) };
  const entries = Array.from(compareTrees(from.tree, to.tree)).filter(({ path }) => wanted(path));
  const parts = {
    layers: compareLayers(a, b),
    settings: compareMaps(settingsOf(a), settingsOf(b)),
    metadata: compareMaps(await metadataOf(store, from), await metadataOf(store, to)),
    labels: compareMaps(a.config.config?.Labels ?? {}, b.config.config?.Labels ?? {}),
    env: compareMaps(envOf(a), envOf(b)),
    applications: compareApplications(a, b),
    containerImages: await compareContainerImages(store, from, to),
  };
  const { settings, metadata, labels, env, applications, containerImages } = parts;
  return {
    schemaVersion: 1,
    from: summary(a),
    to: summary(b),
    different: [entries, settings, metadata, labels, env, applications, containerImages].some(
      (list) => list.length > 0,
    ),
    files: {
      added: sum(entries, 'added', (entry) => (entry.change === 'added' ? entry.to.size : 0)),
      removed: sum(entries, 'removed', (entry) => (entry.change === 'removed' ? entry.from.size : 0)),
      changed: sum(entries, 'changed', (entry) =>
        entry.change === 'changed' ? Math.abs(entry.to.size - entry.from.size) : 0,
      ),
      entries: entries.map(fileOf),
    },
    ...parts,
  };
}

function summary(image: LocalImage): ImageDifference['from'] {
  return { name: image.name, digest: image.descriptor.digest, size: imageSize(image) };
}

function sum(
  entries: readonly TreeChange[],
  kind: TreeChange['change'],
  bytes: (entry: TreeChange) => number,
): { files: number; bytes: number } {
  const found = entries.filter((entry) => entry.change === kind);
  return { files: found.length, bytes: found.reduce((total, entry) => total + bytes(entry), 0) };
}

function fileOf(entry: TreeChange): ImageDifference['files']['entries'][number] {
  return {
    path: entry.path,
    change: entry.change,
    aspects: entry.change === 'changed' ? [...entry.aspects] : [],
    from: entry.change === 'added' ? null : facts(entry.from),
    to: entry.change === 'removed' ? null : facts(entry.to),
  };
}

function facts({
  type,
  mode,
  xattrs,
  ...rest
}: FileFacts): NonNullable<ImageDifference['files']['entries'][number]['to']> {
  return {
    type: type as 'file',
    mode: mode.toString(8).padStart(4, '0'),
    ...rest,
    ...(xattrs === undefined ? {} : { xattrs: { ...xattrs } }),
  };
}

function compareLayers(a: LocalImage, b: LocalImage): ImageDifference['layers'] {
  const [from, to] = [describedLayers(a), describedLayers(b)];
  const [inFrom, inTo] = [from, to].map((layers) => new Set(layers.map(({ diffID }) => diffID)));
  return {
    shared: to.filter(({ diffID }) => inFrom?.has(diffID)).length,
    onlyFrom: from.filter(({ diffID }) => !inTo?.has(diffID)),
    onlyTo: to.filter(({ diffID }) => !inFrom?.has(diffID)),
  };
}

function describedLayers(image: LocalImage): ImageDifference['layers']['onlyTo'] {
  const layers = layersOf(image);
  const made = layerHistory(image.config.history ?? [], layers.length);
  return layers.map(({ diffId, descriptor }, index) => ({
    diffID: diffId,
    digest: descriptor.digest,
    size: descriptor.size,
    instruction: instructionOf(made[index]),
  }));
}

function settingsOf({ config, cluster, platform }: LocalImage): Record<string, Json> {
  const settings = config.config;
  const all = {
    type: cluster?.extension.type ?? 'image',
    platform: formatPlatform(platform),
    user: settings?.User || undefined,
    workdir: settings?.WorkingDir || undefined,
    entrypoint: settings?.Entrypoint,
    cmd: settings?.Cmd,
    shell: settings?.Shell,
    author: config.author,
    'launch.cmds': cluster?.extension.launch.cmds ?? [],
    'launch.apps': cluster?.extension.launch.app_names ?? [],
  };
  return Object.fromEntries(Object.entries(all).flatMap(([key, item]) => (item === undefined ? [] : [[key, item]])));
}

function envOf({ config }: LocalImage): Record<string, string> {
  return Object.fromEntries(
    (config.config?.Env ?? []).map((item) => {
      const equals = item.indexOf('=');
      return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
}

/** The fields of Metadata; as one text when it cannot be read as what it should be. */
async function metadataOf(store: Store, side: Side): Promise<Record<string, Json>> {
  const text = await textOf(store, side, METADATA_PATH, METADATA_LIMIT);
  if (text === undefined) return {};
  try {
    const parsed = z.record(z.string(), z.json()).safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
  } catch {
    // not JSON
  }
  return { '': text };
}

async function textOf(store: Store, { image, tree }: Side, path: string, limit: number): Promise<string | undefined> {
  const source = tree.resolve(path).found?.source;
  const layer = source === undefined ? undefined : layersOf(image)[source.layer];
  if (source === undefined || layer === undefined || source.entry.size > limit) return undefined;
  return (await readLayerFile(store, layer, source.entry, limit)).toString('utf8');
}

function compareMaps(a: Readonly<Record<string, Json>>, b: Readonly<Record<string, Json>>): ImageDifference['env'] {
  const own = (map: Readonly<Record<string, Json>>, key: string): Json =>
    Object.hasOwn(map, key) ? (map[key] ?? null) : null;
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .map((key) => ({ key, from: own(a, key), to: own(b, key) }))
    .filter(({ from, to }) => canonical(from) !== canonical(to));
}

function compareApplications(a: LocalImage, b: LocalImage): ImageDifference['applications'] {
  const [from, to] = [byName(a), byName(b)];
  return compareMaps(from, to).map(({ key, ...sides }) => ({ name: key, change: changeOf(sides), ...sides }));
}

function byName({ cluster }: LocalImage): Record<string, Json> {
  const applications: readonly Application[] = cluster?.extension.applications ?? [];
  return Object.fromEntries(applications.map((application) => [application.name, application as Json]));
}

function changeOf({ from, to }: { readonly from: Json; readonly to: Json }): 'added' | 'removed' | 'changed' {
  return from === null ? 'added' : to === null ? 'removed' : 'changed';
}

async function compareContainerImages(store: Store, from: Side, to: Side): Promise<ImageDifference['containerImages']> {
  const [a, b] = [imagesOf(from.image), imagesOf(to.image)];
  const changes: ImageDifference['containerImages'] = [];
  for (const image of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const kind = !a.has(image) ? 'added' : !b.has(image) ? 'removed' : undefined;
    if (kind !== undefined) {
      changes.push({ image, change: kind, fromDigest: null, toDigest: null });
      continue;
    }
    const link = linkOf(image);
    if (link === undefined || linkDigest(from, link) === linkDigest(to, link)) continue;
    const [fromDigest, toDigest] = [
      await textOf(store, from, link, LINK_LIMIT),
      await textOf(store, to, link, LINK_LIMIT),
    ];
    changes.push({ image, change: 'changed', fromDigest: fromDigest ?? null, toDigest: toDigest ?? null });
  }
  return changes;
}

function imagesOf({ cluster }: LocalImage): Map<string, ContainerImage> {
  return new Map((cluster?.containerImages ?? []).map((carried) => [carried.image, carried]));
}

/** The file that says which manifest a name stands for, as Docker's registry keeps it; undefined for a name with a digest only. */
function linkOf(image: string): string | undefined {
  try {
    const reference = parseReference(image);
    if (reference.tag === undefined) return undefined;
    return `${REPOSITORIES}/${registryAddress(reference).repository}/_manifests/tags/${reference.tag}/current/link`;
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    return undefined;
  }
}

function linkDigest({ tree }: Side, link: string): string | undefined {
  return tree.get(link)?.source?.entry.digest;
}

/** Equal for equal values, whatever the order of the fields. */
function canonical(item: Json): string {
  return JSON.stringify(item, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
