import { MEDIA } from '../../../../src/image/media-types.js';
import { rawTar } from '../../../unit/layers/raw-tar.js';
import type { Door, Verdict } from './archives.js';
import { digestOf, gzipLayer, type HostileImage, imageOf } from './layout.js';
import type { Answer } from './registry.js';

/** A manifest, config or registry that lies. */
export interface HostileDocument {
  readonly name: string;
  readonly image: HostileImage;
  /** What a registry says instead, by path below the repository. */
  readonly answers?: ReadonlyMap<string, Answer>;
  readonly verdicts: Partial<Readonly<Record<Door, Verdict>>>;
}

const layer = gzipLayer(rawTar({ name: 'a', content: 'a' }));
const good = imageOf([layer]);
const described = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
const manifestAt = (answer: Answer): ReadonlyMap<string, Answer> => new Map([['manifests/v1', answer]]);

/** The image with one field of its only layer changed. */
const withLayer = (change: object): HostileImage =>
  imageOf([layer], (manifest) => ({ ...manifest, layers: [{ ...described(layer.blob, MEDIA.layerGzip), ...change }] }));
const withConfig = (config: Buffer): HostileImage => {
  const { blobs, manifest } = imageOf([layer], (plain) => ({ ...plain, config: described(config, MEDIA.config) }));
  return { blobs: new Map([...blobs, [digestOf(config), config]]), manifest };
};

export const DOCUMENTS: readonly HostileDocument[] = [
  {
    name: 'a layer whose digest is a path (CVE-2024-3727)',
    image: withLayer({ digest: 'sha256:../../../canary/secret' }),
    verdicts: {
      load: 'E_INVALID_MANIFEST',
      pull: 'E_INVALID_MANIFEST',
      mount: 'E_INVALID_MANIFEST',
      run: 'E_INVALID_MANIFEST',
    },
  },
  {
    name: 'a config whose digest is a path (CVE-2024-3727)',
    image: imageOf([layer], (manifest) => ({
      ...manifest,
      config: { mediaType: MEDIA.config, digest: 'sha256:../../x', size: 2 },
    })),
    verdicts: { load: 'E_INVALID_MANIFEST', pull: 'E_INVALID_MANIFEST', mount: 'E_INVALID_MANIFEST' },
  },
  {
    name: 'a manifest that is an index too (CVE-2021-41190)',
    image: imageOf([layer], (manifest) => ({ ...manifest, manifests: [] })),
    verdicts: { load: 'E_INVALID_MANIFEST', pull: 'E_INVALID_MANIFEST', mount: 'E_INVALID_MANIFEST' },
  },
  {
    name: 'a manifest that is served as an index (CVE-2021-41190)',
    image: good,
    answers: manifestAt({ type: MEDIA.index, body: good.manifest }),
    verdicts: { pull: 'E_INVALID_MANIFEST' },
  },
  {
    name: 'a manifest without end (CVE-2020-1702)',
    image: good,
    answers: manifestAt({ type: MEDIA.manifest, body: 'endless' }),
    verdicts: { pull: 'E_REGISTRY' },
  },
  {
    name: 'a manifest of 5 MiB',
    image: imageOf([layer], (manifest) => ({ ...manifest, annotations: { x: 'x'.repeat(5 * 2 ** 20) } })),
    verdicts: { load: 'E_BAD_ARCHIVE', pull: 'E_REGISTRY', mount: 'E_INVALID_MANIFEST' },
  },
  {
    name: 'a config of 9 MiB',
    image: withConfig(
      Buffer.from(
        JSON.stringify({
          architecture: 'amd64',
          os: 'linux',
          x: 'x'.repeat(9 * 2 ** 20),
          rootfs: { type: 'layers', diff_ids: [layer.diffId] },
        }),
      ),
    ),
    verdicts: { load: 'E_INVALID_MANIFEST', pull: 'E_INVALID_MANIFEST', mount: 'E_INVALID_MANIFEST' },
  },
  {
    name: 'a blob without end (CVE-2020-1702)',
    image: good,
    answers: new Map<string, Answer>([[`blobs/${digestOf(layer.blob)}`, { body: 'endless' }]]),
    verdicts: { pull: 'E_SIZE_MISMATCH' },
  },
  {
    name: 'another blob than its digest says',
    image: { ...good, blobs: new Map([...good.blobs, [digestOf(layer.blob), Buffer.alloc(layer.blob.length)]]) },
    verdicts: { load: 'E_DIGEST_MISMATCH', pull: 'E_DIGEST_MISMATCH', mount: 'E_BAD_ARCHIVE' },
  },
  {
    name: 'more layers than its config knows',
    image: imageOf([layer], (manifest) => ({
      ...manifest,
      layers: [described(layer.blob, MEDIA.layerGzip), described(layer.blob, MEDIA.layerGzip)],
    })),
    verdicts: { load: 'E_INVALID_MANIFEST', pull: 'E_INVALID_MANIFEST', mount: 'E_INVALID_MANIFEST' },
  },
];
