import type { Reporter } from '../base/reporter.js';
import type { Host } from '../hosts/host.js';
import type { ClusterContext, RuntimeDriver } from '../runtime/driver.js';
import type { HostOwner } from './cluster-hosts/host-owner.js';
import type { HostSetup } from './cluster-hosts/host-setup.js';
import type { AppImages } from './files/app-files.js';
import type { InstallImage } from './files/install-image.js';
import type { WantedEntry, WantedFile } from './files/rootfs.js';
import type { RegistryAccess } from './registry/registry-access.js';
import type { Removal } from './removal.js';
import type { ClusterSpec, HostSpec } from './spec/cluster-spec.js';
import type { PluginSpec } from './spec/plugin-spec.js';
import type { AppState } from './state/app-state.js';
import type { HostPaths, StatePaths } from './state/cluster-paths.js';
import type { ClusterState } from './state/cluster-state.js';

/** A host of the cluster that is worked on. */
export interface WorkHost {
  readonly address: string;
  readonly spec: HostSpec;
  readonly host: Host;
  readonly master: boolean;
  /** Everything that its scripts and templates get. */
  readonly env: Readonly<Record<string, string>>;
  /** What the commands and templates of each application get, by the application's name. */
  readonly applicationEnvs: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly servesRegistry: boolean;
  /** Files made from templates for this host. */
  readonly rendered: readonly WantedFile[];
  /** What its rootfs must be. */
  wanted(): readonly WantedEntry[];
  /** Digest of that. */
  readonly wantedDigest: string;
  /** Digest of the part of it that sets the host up: programs, scripts, settings. */
  readonly setupDigest: string;
}

/** Everything that the phases of an installation work with. */
export interface InstallWork {
  readonly spec: ClusterSpec;
  readonly image: InstallImage;
  readonly driver: RuntimeDriver;
  readonly cluster: ClusterContext;
  readonly owner: HostOwner;
  /** An earlier command has begun the cluster. */
  readonly begun: boolean;
  /** In the order of the specification. */
  readonly hosts: readonly WorkHost[];
  /** The master through which the cluster is asked: the first one, which begins it, and later the first that answers. */
  readonly entry: WorkHost;
  /** Hosts that are taken out of the cluster; undefined when none is. */
  readonly removal: Removal | undefined;
  readonly paths: HostPaths;
  readonly state: StatePaths;
  /** How hosts were set up on which there is Kubernetes already; undefined for one that does not say. */
  readonly setups: ReadonlyMap<string, HostSetup | undefined>;
  /** Nodes are set up anew, also those that are as they should be. */
  readonly setUpAgain: boolean;
  /** The cluster is on its way to another image. */
  readonly changing: boolean;
  readonly upgradeBatch: number;
  readonly drainTimeoutMs: number;
  /** Application images that were installed on the cluster. */
  readonly applications: readonly AppState[];
  /** Their container images, where the application's image is in the store. */
  readonly appImages: readonly AppImages[];
  /** Undefined when the image carries no container images: then hosts pull from where the names say. */
  readonly registry: RegistryAccess | undefined;
  /** Registries in whose place the hosts ask it: those that the container images of the image and of applications come from, and those that images were put there for later. */
  readonly upstreams: readonly string[];
  readonly concurrentUploads: number;
  /** Hosts that have the files send them on to others. */
  readonly fanOut: boolean;
  readonly readyTimeoutMs: number;
  /** Those of the image first. */
  readonly plugins: readonly PluginSpec[];
  readonly moments: Moments;
  readonly reporter: Reporter;
}

/** What happens to the cluster, for hooks: each has its own moments. */
export interface Moments {
  /** It was never up as a whole. */
  readonly installing: boolean;
  /** Hosts join a cluster that is up; `begun` tells one time from the next. */
  readonly scaleUp: ClusterState['scaleUp'];
  readonly change: { readonly kind: 'upgrade' | 'rollback'; readonly begun: string } | undefined;
}

/** Runs a script of the rootfs on a host, with its environment and the image's programs. */
export function programPath(rootfs: string): string {
  return `PATH="${rootfs}/bin:$PATH"; export PATH\n`;
}
