import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { MEDIA } from '../../../../src/image/media-types.js';

/** A layer as a stranger would give it to us: the blob, and what the config says that is in it. */
export interface HostileLayer {
  readonly blob: Buffer;
  readonly diffId: string;
}

/** The blobs of an image by digest, and its manifest. */
export interface HostileImage {
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly manifest: Buffer;
}

export function digestOf(bytes: Buffer | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function gzipLayer(tar: Buffer): HostileLayer {
  return { blob: gzipSync(tar, { level: 1 }), diffId: digestOf(tar) };
}

/** The same tar again and again, without ever being in memory: gzip takes one member after the other. */
export function repeatedLayer(tar: Buffer, times: number): HostileLayer {
  const member = gzipSync(tar, { level: 9 });
  const hashing = createHash('sha256');
  for (let index = 0; index < times; index++) hashing.update(tar);
  return { blob: Buffer.concat(Array(times).fill(member)), diffId: `sha256:${hashing.digest('hex')}` };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** @param change makes a manifest that is as wrong as a test needs it. */
export function imageOf(
  layers: readonly HostileLayer[],
  change: (manifest: Record<string, unknown>) => unknown = (manifest) => manifest,
  history: readonly unknown[] = layers.map(() => ({ created: '1970-01-01T00:00:00Z', created_by: 'a stranger' })),
): HostileImage {
  const config = json({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history,
  });
  const described = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = json(
    change({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: described(MEDIA.config, config),
      layers: layers.map(({ blob }) => described(MEDIA.layerGzip, blob)),
    }),
  );
  return {
    blobs: new Map([config, ...layers.map(({ blob }) => blob)].map((blob) => [digestOf(blob), blob])),
    manifest,
  };
}

/** Writes an OCI layout by hand, which is a store as well. */
export function writeLayout(dir: string, { blobs, manifest }: HostileImage, name: string): void {
  mkdirSync(join(dir, 'blobs/sha256'), { recursive: true });
  for (const [digest, blob] of [...blobs, [digestOf(manifest), manifest] as const])
    writeFileSync(join(dir, 'blobs/sha256', digest.slice('sha256:'.length)), blob);
  writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const descriptor = {
    mediaType: MEDIA.manifest,
    digest: digestOf(manifest),
    size: manifest.length,
    annotations: { 'org.opencontainers.image.ref.name': name },
  };
  writeFileSync(join(dir, 'index.json'), json({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [descriptor] }));
}

/** Pushes blobs and manifest as they are, by hand. */
export async function pushByHand(
  address: string,
  { blobs, manifest }: HostileImage,
  repository: string,
): Promise<void> {
  const base = `http://${address}/v2/${repository}`;
  for (const [digest, blob] of blobs) {
    const started = await must(fetch(`${base}/blobs/uploads/`, { method: 'POST' }), 202);
    const location = new URL(started.headers.get('location') ?? '', base);
    location.searchParams.set('digest', digest);
    await must(fetch(location, { method: 'PUT', body: new Uint8Array(blob) }), 201);
  }
  const headers = { 'content-type': MEDIA.manifest };
  await must(fetch(`${base}/manifests/v1`, { method: 'PUT', headers, body: new Uint8Array(manifest) }), 201);
}

async function must(request: Promise<Response>, status: number): Promise<Response> {
  const response = await request;
  if (response.status !== status) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}
