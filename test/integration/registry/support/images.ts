import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { sha256Digest } from '../../../../src/image/digest.js';
import { MEDIA } from '../../../../src/image/media-types.js';
import { type Descriptor, encodeJson } from '../../../../src/image/oci.js';
import type { Platform } from '../../../../src/image/platform.js';
import { Store } from '../../../../src/store/store.js';
import { tempDir } from './programs.js';

/** A store in a directory of its own. */
export async function tempStore(): Promise<{ readonly store: Store; close(): Promise<void> }> {
  const dir = await tempDir('store');
  const store = await Store.open(dir.path);
  return {
    store,
    async close() {
      await store.close();
      await dir.remove();
    },
  };
}

export type Files = Readonly<Record<string, string | Buffer>>;

export interface ImageOptions {
  readonly layers: readonly Files[];
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly docker?: boolean;
}

/** Puts an image with these layers into the store, without a name. */
export async function putImage(
  store: Store,
  { layers, platform, annotations, docker = false }: ImageOptions,
): Promise<Descriptor> {
  const descriptors: Descriptor[] = [];
  const diffIds: string[] = [];
  for (const files of layers) {
    const tar = await tarOf(files);
    diffIds.push(digestOf(tar));
    const blob = await store.putBlob(gzipSync(tar, { level: 1 }));
    descriptors.push({ mediaType: docker ? MEDIA.dockerLayerGzip : MEDIA.layerGzip, ...blob });
  }
  const config = await store.putBlob(
    encodeJson({
      architecture: platform?.architecture ?? 'amd64',
      os: platform?.os ?? 'linux',
      config: { Env: ['PATH=/bin'], Labels: { made: 'for a test' } },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'test' })),
    }),
  );
  return putDocument(store, {
    schemaVersion: 2,
    mediaType: docker ? MEDIA.dockerManifest : MEDIA.manifest,
    config: { mediaType: docker ? MEDIA.dockerConfig : MEDIA.config, ...config },
    layers: descriptors,
    ...(annotations === undefined ? {} : { annotations }),
  });
}

/** Puts an index over these images into the store, without a name. */
export function putIndex(store: Store, images: readonly (readonly [Platform, Descriptor])[]): Promise<Descriptor> {
  return putDocument(store, {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: images.map(([platform, descriptor]) => ({ ...descriptor, platform })),
  });
}

export async function putDocument(
  store: Store,
  document: Readonly<Record<string, unknown>> & { readonly mediaType: string },
): Promise<Descriptor> {
  return { mediaType: document.mediaType, ...(await store.putBlob(encodeJson(document))) };
}

/** An image of one small layer with random content, tagged. */
export async function tagSmallImage(
  store: Store,
  name: string,
  options: Partial<ImageOptions> = {},
): Promise<Descriptor> {
  const descriptor = await putImage(store, { layers: [{ 'etc/id': randomBytes(16).toString('hex') }], ...options });
  await store.tag(name, descriptor);
  return descriptor;
}

/** An uncompressed tar in memory. */
export async function tarOf(files: Files): Promise<Buffer> {
  const tar = pack();
  const chunks: Buffer[] = [];
  const read = (async () => {
    for await (const chunk of tar) chunks.push(chunk as Buffer);
  })();
  for (const [name, content] of Object.entries(files))
    tar.entry({ name, mtime: new Date(0), mode: 0o644 }, content as string);
  tar.finalize();
  await read;
  return Buffer.concat(chunks);
}

export function digestOf(bytes: Uint8Array): string {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}
