import { parseAllDocuments } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import { checkApplicationNames, KUBE_VERSION_LABEL } from '../../image/applications.js';
import type { Application } from '../../image/cluster-image.js';
import type { Digest } from '../../image/digest.js';
import { clusterRuntimeOf, METADATA_PATH, type Metadata, parseMetadata } from '../../image/metadata.js';
import type { Descriptor } from '../../image/oci.js';
import type { Platform } from '../../image/platform.js';
import { parseReference, registryAddress } from '../../image/reference.js';
import { layersOf, unpackedLayers } from '../../store/layer-store.js';
import { type LocalImage, readImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import { type ImageRootfs, imageRootfs, readRootfsFile } from './rootfs.js';
import { renderTemplate } from './template.js';

/** Where an image keeps documents of its own for its runtime; sealer's name for those of kubeadm. */
const DOCUMENT_FILES = { k8s: 'etc/kubeadm.yml', k0s: 'etc/k0s.yml', k3s: 'etc/k3s.yml' } as const;
/** The container images that the rootfs needs, one a line. */
const IMAGE_LIST = 'manifests/imageList';

/** What there is to know of an image that brings applications, whether it installs a cluster or not. */
export interface ApplicationImage {
  readonly name: string;
  readonly digest: Digest;
  readonly descriptor: Descriptor;
  readonly platform: Platform;
  readonly rootfs: ImageRootfs;
  readonly env: Readonly<Record<string, string>>;
  readonly launchCmds: readonly string[];
  /** Names of the applications that are started after the commands. */
  readonly launchApps: readonly string[];
  /** Those it carries, started or not. */
  readonly applications: readonly Application[];
  /** The versions of Kubernetes that its applications are for (KUBEVERSION). */
  readonly kubeConstraint: string | undefined;
  /** Registries that the image's container images come from: `docker.io`, `k8s.gcr.io`. */
  readonly upstreams: readonly string[];
}

/** What an installation needs to know of a ClusterImage. */
export interface InstallImage extends ApplicationImage {
  readonly metadata: Metadata;
  /** `v1.29.2`; every image that installs a cluster says it. */
  readonly version: string;
  /** `containerd` unless the image says otherwise. */
  readonly containerRuntime: string;
}

/**
 * Reads an image of the store and unpacks what is not unpacked yet.
 * @throws SlipwayError E_NOT_FOUND, E_INVALID_METADATA, E_UNSUPPORTED for an image that installs no cluster.
 */
export async function loadInstallImage(store: Store, name: string, platform?: Platform): Promise<InstallImage> {
  const image = await readImage(store, name, platform);
  if (image.cluster?.extension.type === 'app-installer') {
    throw new SlipwayError('E_UNSUPPORTED', `${image.name} installs applications on a cluster, it is none itself`, {
      hint: `"slipway run-app ${image.name}" installs it on a cluster that is up; or build it FROM a Kubernetes image, or put the two together with "slipway merge", and run that`,
    });
  }
  const common = await applicationImage(store, image);
  const metadata = await readMetadata(common.rootfs, image.name);
  return {
    ...common,
    metadata,
    // As Kubernetes itself writes it, whatever the author did.
    version: (metadata.version ?? '').trim().replace(/^(?=\d)/, 'v'),
    containerRuntime: labelsOf(image)['cluster.alpha.sealer.io/container-runtime-type'] || 'containerd',
  };
}

/**
 * Reads an image of applications alone, and unpacks what is not unpacked yet.
 * @throws SlipwayError E_NOT_FOUND; E_UNSUPPORTED for an image that installs a cluster, or is no ClusterImage.
 */
export async function loadApplicationImage(store: Store, name: string, platform?: Platform): Promise<ApplicationImage> {
  const image = await readImage(store, name, platform);
  const type = image.cluster?.extension.type;
  if (type === undefined) {
    throw new SlipwayError('E_UNSUPPORTED', `${image.name} is an ordinary container image, and brings no application`, {
      hint: 'build one from a Kubefile with APP, FROM scratch, with "slipway build --type app-installer"',
    });
  }
  if (type !== 'app-installer') {
    throw new SlipwayError('E_UNSUPPORTED', `${image.name} installs a whole cluster (${type})`, {
      hint: `"slipway run ${image.name}" launches one from it, "slipway upgrade ${image.name}" takes one to it; applications alone are built with --type app-installer`,
    });
  }
  return applicationImage(store, image);
}

async function applicationImage(store: Store, image: LocalImage): Promise<ApplicationImage> {
  const { cluster, config, descriptor } = image;
  const rootfs = imageRootfs(await unpackedLayers(store, layersOf(image)));
  const imageList = (await readRootfsFile(rootfs.entries, IMAGE_LIST))?.toString('utf8') ?? '';
  return {
    name: image.name,
    digest: descriptor.digest,
    descriptor,
    platform: image.platform,
    rootfs,
    env: { ...envOf(config.config?.Env ?? []), ...cluster?.extension.env },
    launchCmds: cluster === undefined ? (config.config?.Cmd ?? []) : cluster.extension.launch.cmds,
    launchApps: cluster?.extension.launch.app_names ?? [],
    applications: checkApplicationNames(cluster?.extension.applications ?? [], image.name),
    kubeConstraint: labelsOf(image)[KUBE_VERSION_LABEL] || undefined,
    upstreams: upstreamHosts([
      ...(cluster?.containerImages.map((one) => one.image) ?? []),
      ...imageList.split('\n').map((line) => line.replace(/#.*/, '').trim()),
    ]),
  };
}

function labelsOf({ config, cluster }: LocalImage): Readonly<Record<string, string>> {
  return { ...config.config?.Labels, ...cluster?.extension.labels };
}

/** The registries of image names, sorted, each once. Names that are none are passed over: the list is a stranger's. */
export function upstreamHosts(images: readonly string[]): readonly string[] {
  const hosts = images
    .filter((image) => image !== '')
    .flatMap((image) => {
      try {
        return [registryAddress(parseReference(image)).host];
      } catch {
        return [];
      }
    });
  return [...new Set(hosts)].sort();
}

/**
 * The documents that the image brings for its runtime, in `etc/kubeadm.yml` or `etc/k3s.yml` (or `.yml.tmpl`).
 * @throws SlipwayError E_CLUSTERFILE with line and column when it is not YAML.
 */
export async function imageDocuments(
  { rootfs, name, metadata }: Pick<InstallImage, 'rootfs' | 'name' | 'metadata'>,
  values: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>[]> {
  const file = DOCUMENT_FILES[clusterRuntimeOf(metadata)];
  const template = await readRootfsFile(rootfs.entries, `${file}.tmpl`);
  const plain = await readRootfsFile(rootfs.entries, file);
  const text =
    template === undefined
      ? (plain?.toString('utf8') ?? '')
      : renderTemplate(template.toString('utf8'), values, `${file}.tmpl`);
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      throw new SlipwayError('E_CLUSTERFILE', `${file} of ${name}: ${error.message.split('\n', 1)[0]}`);
    }
    const value: unknown = document.toJS();
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [value as Record<string, unknown>]
      : [];
  });
}

async function readMetadata(rootfs: ImageRootfs, name: string): Promise<Metadata> {
  const text = await readRootfsFile(rootfs.entries, METADATA_PATH);
  if (text === undefined) {
    throw new SlipwayError('E_INVALID_METADATA', `${name} has no ${METADATA_PATH} at its root: it is no ClusterImage`, {
      hint: 'build it FROM a ClusterImage, or COPY a Metadata file to its root',
    });
  }
  const metadata = parseMetadata(text.toString('utf8'), `${METADATA_PATH} of ${name}`);
  if (!metadata.version) {
    throw new SlipwayError('E_INVALID_METADATA', `${METADATA_PATH} of ${name} does not say the version of Kubernetes`, {
      hint: 'add "version": "v1.29.2"',
    });
  }
  return metadata;
}

function envOf(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    list.map((item) => {
      const equals = item.indexOf('=');
      return equals < 0 ? [item, ''] : [item.slice(0, equals), item.slice(equals + 1)];
    }),
  );
}
