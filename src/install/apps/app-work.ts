import type { Reporter } from '../../base/reporter.js';
import type { Host } from '../../hosts/host.js';
import type { LaunchCommand } from '../files/applications.js';
import type { ApplicationImage } from '../files/install-image.js';
import type { WantedEntry } from '../files/rootfs.js';
import type { AskedMaster } from '../phases/launched-notes.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import type { AppState } from '../state/app-state.js';
import type { AppPaths, HostPaths } from '../state/cluster-paths.js';
import type { AppEnvs } from './app-env.js';

/** What the phases have in common that put an application on a cluster or take it away. */
export interface AppPlaces {
  readonly cluster: string;
  readonly app: AppState;
  /** Every application of the cluster, this one too. */
  readonly applications: readonly AppState[];
  /** Of the cluster. */
  readonly paths: HostPaths;
  readonly appPaths: AppPaths;
  readonly registry: Pick<RegistrySpec, 'domain' | 'port'>;
  /** Registries that hosts ask the cluster's registry for because of this application alone. */
  readonly upstreams: readonly string[];
  /** Hosts that answer. */
  readonly hosts: readonly Host[];
  /** Of those, the ones that serve the registry. */
  readonly registryHosts: readonly Host[];
  readonly reporter: Reporter;
}

/** What the phases work with that put an application image on a cluster. */
export interface AppWork extends AppPlaces {
  readonly image: ApplicationImage;
  readonly launched: readonly LaunchCommand[];
  readonly master: AskedMaster;
  readonly adminKubeconfig: string;
  readonly envs: AppEnvs;
  /** Identifies the variables that commands get, but for those of the host and secrets. */
  readonly envDigest: string;
  /** What the master gets. */
  readonly files: readonly WantedEntry[];
  /** What the registry gets. */
  readonly images: readonly WantedEntry[];
}
