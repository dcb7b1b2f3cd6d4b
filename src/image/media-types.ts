/** Media types of the OCI image spec and their docker schema 2 twins. */
export const MEDIA = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layerTar: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  empty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerTar: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const;

export type Compression = 'gzip' | 'zstd' | 'none';

const COMPRESSION_OF: Readonly<Record<string, Compression>> = {
  [MEDIA.layerTar]: 'none',
  [MEDIA.layerGzip]: 'gzip',
  [MEDIA.layerZstd]: 'zstd',
  [MEDIA.dockerLayerTar]: 'none',
  [MEDIA.dockerLayerGzip]: 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar': 'none',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd': 'zstd',
  [MEDIA.dockerForeignLayer]: 'gzip',
};

/** How a layer of this media type is compressed, or undefined when it is not a filesystem layer. */
export function compressionOf(mediaType: string): Compression | undefined {
  return COMPRESSION_OF[mediaType];
}

/** The OCI layer media type for a compression. */
export function layerMediaType(compression: Compression): string {
  return { gzip: MEDIA.layerGzip, zstd: MEDIA.layerZstd, none: MEDIA.layerTar }[compression];
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA.manifest || mediaType === MEDIA.dockerManifest;
}

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA.index || mediaType === MEDIA.dockerIndex;
}

/** A manifest or an index: what names other content. */
export function isDocumentType(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType);
}

/** Layers that the image spec says must not be uploaded: they live elsewhere under licence. */
export function isNondistributable(mediaType: string): boolean {
  return mediaType.includes('nondistributable') || mediaType === MEDIA.dockerForeignLayer;
}
