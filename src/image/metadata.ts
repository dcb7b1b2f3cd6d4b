import semver from 'semver';
import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import type { Platform } from './platform.js';

export const CLUSTER_RUNTIMES = ['k8s', 'k0s', 'k3s'] as const;
/** Which runtime driver installs the cluster. `k8s` is kubeadm. */
export type ClusterRuntime = (typeof CLUSTER_RUNTIMES)[number];

/** Where Metadata lives in the rootfs. */
export const METADATA_PATH = 'Metadata';

/** sealer's Metadata file. Fields we do not know are kept. */
const metadataSchema = z.looseObject({
  version: z.string().optional(),
  arch: z.string().optional(),
  variant: z.string().optional(),
  kubeVersion: z.string().optional(),
  NydusFlag: z.boolean().optional(),
  ClusterRuntime: z.enum(CLUSTER_RUNTIMES).optional(),
});
export type Metadata = z.infer<typeof metadataSchema>;

/**
 * Reads the Metadata file of a rootfs and checks what can be checked without a cluster.
 * @param what names the file in errors.
 * @throws SlipwayError E_INVALID_METADATA
 */
export function parseMetadata(text: string, what: string): Metadata {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `${what}: not valid JSON: ${cause instanceof Error ? cause.message : cause}`,
      { cause },
    );
  }
  const parsed = metadataSchema.safeParse(value);
  if (!parsed.success) {
    const unknown = unknownRuntime(value);
    const mistake =
      unknown === undefined
        ? zodProblems(parsed.error)
        : `ClusterRuntime is ${JSON.stringify(unknown)}, which is unknown`;
    throw new SlipwayError('E_INVALID_METADATA', `${what}: ${mistake}`, {
      hint: `ClusterRuntime is one of ${CLUSTER_RUNTIMES.join(', ')}; version, arch, kubeVersion are texts`,
    });
  }
  const { version, kubeVersion } = parsed.data;
  if (version !== undefined && version !== '' && semver.valid(version) === null) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `${what}: version ${JSON.stringify(version)} is not a semantic version`,
      { hint: 'write it like v1.29.2' },
    );
  }
  if (kubeVersion !== undefined && kubeVersion !== '' && semver.validRange(kubeVersion) === null) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `${what}: kubeVersion ${JSON.stringify(kubeVersion)} is not a semver range`,
      {
        hint: 'write it like ">=1.24.0 <1.31.0"',
      },
    );
  }
  return parsed.data;
}

/** What Metadata calls the runtime, when nobody knows it. */
function unknownRuntime(metadata: unknown): string | undefined {
  const { success, data } = z.looseObject({ ClusterRuntime: z.string() }).safeParse(metadata);
  return success && !CLUSTER_RUNTIMES.some((known) => known === data.ClusterRuntime) ? data.ClusterRuntime : undefined;
}

/** The driver for an image: what Metadata says, `k8s` when it says nothing (images older than the field). */
export function clusterRuntimeOf(metadata: Metadata): ClusterRuntime {
  return metadata.ClusterRuntime ?? 'k8s';
}

/**
 * Fills in what a build knows (arch, variant, ClusterRuntime) and refuses what contradicts the target platform.
 * @throws SlipwayError E_INVALID_METADATA
 */
export function completeMetadata(metadata: Metadata, platform: Platform, what: string): Metadata {
  if (metadata.arch !== undefined && metadata.arch !== '' && metadata.arch !== platform.architecture) {
    throw new SlipwayError(
      'E_INVALID_METADATA',
      `${what}: arch is ${metadata.arch}, but the image is built for ${platform.architecture}`,
      {
        hint: `set "arch": "${platform.architecture}", or build with --platform linux/${metadata.arch}`,
      },
    );
  }
  return {
    ...metadata,
    arch: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ClusterRuntime: clusterRuntimeOf(metadata),
  };
}

/** A runtime as people call it: Kubernetes itself is installed by kubeadm. */
export function runtimeName(runtime: string): string {
  return runtime === 'k8s' ? 'kubeadm' : runtime;
}
