import { z } from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { clusterRuntimeOf, type Metadata } from './metadata.js';
import type { Manifest } from './oci.js';

/** Manifest annotations that make an OCI image a ClusterImage; sealer's names, so both tools read each other's images. */
export const EXTENSION_ANNOTATION = 'sealer.image.extension';
export const CONTAINER_IMAGES_ANNOTATION = 'sealer.image.container.images';

/** Labels derived from Metadata; sealer's names. */
export const LABELS = {
  runtimeType: 'cluster.alpha.sealer.io/cluster-runtime-type',
  runtimeVersion: 'cluster.alpha.sealer.io/cluster-runtime-version',
  containerRuntimeType: 'cluster.alpha.sealer.io/container-runtime-type',
  containerRuntimeVersion: 'cluster.alpha.sealer.io/container-runtime-version',
} as const;

export const IMAGE_TYPES = ['kube-installer', 'app-installer'] as const;
export type ClusterImageType = (typeof IMAGE_TYPES)[number];

const textMap = z.preprocess((value) => value ?? {}, z.record(z.string(), z.string()));
const textList = z.preprocess((value) => value ?? [], z.array(z.string()));

const applicationSchema = z.looseObject({
  name: z.string(),
  type: z.string().optional(),
  files: textList.optional(),
  version: z.string().optional(),
  env: textMap.optional(),
  cmds: textList.optional(),
});
export type Application = z.infer<typeof applicationSchema>;

/** sealer's ImageExtension (v1alpha1). Go writes null for empty lists; both are read. */
const extensionSchema = z.looseObject({
  schemaVersion: z.string(),
  type: z.string(),
  applications: z.preprocess((value) => value ?? [], z.array(applicationSchema)),
  labels: textMap,
  env: textMap,
  launch: z.preprocess((value) => value ?? {}, z.looseObject({ cmds: textList, app_names: textList })),
  buildClient: z.looseObject({}).optional(),
});
export type ClusterImageExtension = z.infer<typeof extensionSchema>;

const containerImageSchema = z.looseObject({
  image: z.string(),
  appName: z.string().optional(),
  platform: z
    .looseObject({ os: z.string().optional(), architecture: z.string().optional(), variant: z.string().optional() })
    .nullish(),
});
/** A container image that the cluster image carries in `registry/`. */
export type ContainerImage = z.infer<typeof containerImageSchema>;

/** What a ClusterImage's manifest says beyond OCI. */
export interface ClusterImageInfo {
  readonly extension: ClusterImageExtension;
  readonly containerImages: readonly ContainerImage[];
}

/**
 * Reads the ClusterImage annotations of a manifest; undefined when it is an ordinary image.
 * @throws SlipwayError E_INVALID_MANIFEST when the annotations are there and malformed.
 */
export function readClusterImage(manifest: Manifest, what: string): ClusterImageInfo | undefined {
  const text = manifest.annotations?.[EXTENSION_ANNOTATION];
  if (text === undefined) return undefined;
  const images = manifest.annotations?.[CONTAINER_IMAGES_ANNOTATION];
  return {
    extension: parse(extensionSchema, text, EXTENSION_ANNOTATION, what),
    containerImages:
      images === undefined
        ? []
        : (parse(z.array(containerImageSchema).nullable(), images, CONTAINER_IMAGES_ANNOTATION, what) ?? []),
  };
}

/** The manifest annotations of a ClusterImage. */
export function writeClusterImage({ extension, containerImages }: ClusterImageInfo): Record<string, string> {
  return {
    [EXTENSION_ANNOTATION]: JSON.stringify(extension),
    ...(containerImages.length === 0 ? {} : { [CONTAINER_IMAGES_ANNOTATION]: JSON.stringify(containerImages) }),
  };
}

/** The labels that Metadata implies. sealer calls kubeadm clusters `kubernetes`. */
export function metadataLabels(metadata: Metadata): Record<string, string> {
  const runtime = clusterRuntimeOf(metadata);
  return {
    [LABELS.runtimeType]: runtime === 'k8s' ? 'kubernetes' : runtime,
    ...(metadata.version ? { [LABELS.runtimeVersion]: metadata.version } : {}),
  };
}

function parse<T extends z.ZodType>(schema: T, text: string, annotation: string, what: string): z.infer<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: annotation ${annotation} is not valid JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: annotation ${annotation}: ${zodProblems(parsed.error)}`);
  return parsed.data;
}
