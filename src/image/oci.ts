import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { type Digest, isDigest } from './digest.js';
import { isIndexType, isManifestType, MEDIA } from './media-types.js';
import type { Platform } from './platform.js';

/** Limits on documents from strangers: what a registry may make us hold in memory. */
export const MANIFEST_LIMIT = 4 * 1024 * 1024;
export const CONFIG_LIMIT = 8 * 1024 * 1024;

const digest = z.custom<Digest>(
  (value) => typeof value === 'string' && isDigest(value),
  'not a sha256 or sha512 digest',
);
const annotations = z.record(z.string(), z.string());

const platform = z.looseObject({
  os: z.string(),
  architecture: z.string(),
  variant: z.string().optional(),
});

/** OCI content descriptor. Fields we do not know are kept. */
export const descriptorSchema = z.looseObject({
  mediaType: z.string().min(1),
  digest,
  size: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  annotations: annotations.optional(),
  platform: platform.optional(),
  urls: z.array(z.string()).optional(),
  artifactType: z.string().optional(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const manifestSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema),
  subject: descriptorSchema.optional(),
  annotations: annotations.optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

const indexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  manifests: z.array(descriptorSchema),
  subject: descriptorSchema.optional(),
  annotations: annotations.optional(),
});
export type Index = z.infer<typeof indexSchema>;

const historySchema = z.looseObject({
  created: z.string().optional(),
  created_by: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  empty_layer: z.boolean().optional(),
});
export type History = z.infer<typeof historySchema>;

const nullable = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());

/** OCI image config. Docker writes `null` where OCI leaves a field away; both are read. */
export const configSchema = z.looseObject({
  created: nullable(z.string()),
  author: nullable(z.string()),
  architecture: z.string(),
  os: z.string(),
  variant: nullable(z.string()),
  config: nullable(
    z.looseObject({
      User: nullable(z.string()),
      Env: nullable(z.array(z.string())),
      Entrypoint: nullable(z.array(z.string())),
      Cmd: nullable(z.array(z.string())),
      WorkingDir: nullable(z.string()),
      Labels: nullable(z.record(z.string(), z.string())),
      Shell: nullable(z.array(z.string())),
      ExposedPorts: nullable(z.record(z.string(), z.unknown())),
      Volumes: nullable(z.record(z.string(), z.unknown())),
    }),
  ),
  rootfs: z.looseObject({ type: z.literal('layers'), diff_ids: z.array(digest) }),
  history: nullable(z.array(historySchema)),
});
export type ImageConfig = z.infer<typeof configSchema>;

/** A manifest or an index, told apart beyond doubt. */
export type ImageDocument =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly index: Index };

/**
 * Reads a manifest or an index. `mediaType` is what the descriptor or the Content-Type said. A document with the
 * fields of both, or whose own mediaType contradicts, is refused (CVE-2021-41190).
 * @param what names the document in errors, for example `localhost:5000/k8s:v1`.
 * @throws SlipwayError E_INVALID_MANIFEST
 */
export function parseImageDocument(bytes: Uint8Array, mediaType: string | undefined, what: string): ImageDocument {
  const bad = (why: string, hint?: string): SlipwayError =>
    new SlipwayError('E_INVALID_MANIFEST', `${what}: ${why}`, hint === undefined ? {} : { hint });
  const value = parseJson(bytes, MANIFEST_LIMIT, what);
  const fields = z.looseObject({ mediaType: z.string().optional() }).safeParse(value);
  if (!fields.success) throw bad('the manifest is not a JSON object');
  if ('manifests' in fields.data && ('layers' in fields.data || 'config' in fields.data)) {
    throw bad(
      'the document has the fields of both a manifest and an index',
      'it is ambiguous and may be an attack; refused',
    );
  }
  if ('fsLayers' in fields.data || fields.data.schemaVersion === 1) {
    throw bad('docker image manifest schema 1 is not supported', 'push the image again with a current tool');
  }
  const own = fields.data.mediaType;
  const said =
    mediaType === undefined || mediaType === 'application/json' || mediaType === 'application/octet-stream'
      ? undefined
      : mediaType;
  if (own !== undefined && said !== undefined && own !== said) {
    throw bad(`it says it is ${own} but was described as ${said}`);
  }
  const type = own ?? said ?? ('manifests' in fields.data ? MEDIA.index : MEDIA.manifest);
  if (isIndexType(type)) {
    const index = indexSchema.safeParse(value);
    if (!index.success) throw bad(`invalid index: ${zodProblems(index.error)}`);
    const twice = twoTypes(index.data.manifests);
    if (twice !== undefined) throw bad(twice, 'nobody can tell what it is meant to be: have the index made anew');
    return { kind: 'index', mediaType: type, index: index.data };
  }
  if (!isManifestType(type)) throw bad(`media type ${type} is neither a manifest nor an index`);
  const manifest = manifestSchema.safeParse(value);
  if (!manifest.success) throw bad(`invalid manifest: ${zodProblems(manifest.error)}`);
  return { kind: 'manifest', mediaType: type, manifest: manifest.data };
}

/** What is wrong with an index that calls the same content by two media types; undefined for others. */
function twoTypes(manifests: readonly Descriptor[]): string | undefined {
  const types = new Map<Digest, string>();
  for (const { digest: each, mediaType } of manifests) {
    const other = types.get(each);
    if (other !== undefined && other !== mediaType) return `the index lists ${each} as ${other} and as ${mediaType}`;
    types.set(each, mediaType);
  }
  return undefined;
}

/** Reads an image config. @throws SlipwayError E_INVALID_MANIFEST */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const config = configSchema.safeParse(parseJson(bytes, CONFIG_LIMIT, what));
  if (!config.success)
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: invalid image config: ${zodProblems(config.error)}`);
  return config.data;
}

export function configPlatform({ os, architecture, variant }: ImageConfig): Platform {
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** The bytes of a document as we write it: compact JSON in the order of the fields given. */
export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function parseJson(bytes: Uint8Array, limit: number, what: string): unknown {
  if (bytes.byteLength > limit) {
    throw new SlipwayError(
      'E_INVALID_MANIFEST',
      `${what}: the document has ${bytes.byteLength} bytes, the limit is ${limit}`,
    );
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: not valid JSON`, { cause });
  }
}
