import { join } from 'node:path';

/** The directory of a rootfs whose content only hosts that serve the registry need. */
export const REGISTRY_DIR = 'registry';

/** A directory of a host that files are sent to, with what belongs to that. */
export interface SentPaths {
  /** The directory that the others are in. */
  readonly base: string;
  /** Where the files are. */
  readonly rootfs: string;
  /** What was put into rootfs: a table of contents, JSON lines, gzip. */
  readonly toc: string;
  /** Where files arrive before they are moved into rootfs: on the same file system. */
  readonly incoming: string;
}

/**
 * Where a cluster's things are on a host. `base` is `/var/lib/slipway/data/CLUSTER`; when the host is this machine it may be the directory
 * of the state as well. `rootfs` has the image's files.
 */
export interface HostPaths extends SentPaths {
  /** Applications that were installed on the cluster, each in a directory of its name. */
  readonly apps: string;
  /** How the host was set up; written when that was done. */
  readonly setup: string;
  /** What hooks were run; see hooks/host-notes.ts. */
  readonly hooks: string;
  /** Says to which cluster this host belongs. */
  readonly owner: string;
  /** On masters: what is known of the cluster, for whoever has lost the machine that launched it. */
  readonly state: string;
  /** Snapshots that plugins make: they outlive the cluster. */
  readonly backups: string;
}

export function hostPaths(dataRoot: string, cluster: string): HostPaths {
  const base = `${dataRoot}/data/${cluster}`;
  return {
    base,
    rootfs: `${base}/rootfs`,
    toc: `${base}/.toc.gz`,
    incoming: `${base}/.incoming`,
    apps: `${base}/apps`,
    setup: `${base}/.setup.json`,
    hooks: `${base}/.hooks.json`,
    owner: `${base}/.owner.json`,
    state: `${base}/.cluster.json`,
    backups: `${dataRoot}/backups`,
  };
}

/** Where the things of an application that was installed on a cluster are on its hosts. */
export interface AppPaths {
  /** The directory of the application; what is not in it is only in `images.rootfs`. */
  readonly base: string;
  /** The files of its image, without container images: on the master that its commands are run on. */
  readonly files: SentPaths;
  /** Its container images, among those of the cluster: on hosts that serve the registry. */
  readonly images: SentPaths;
}

export function appPaths({ apps, rootfs }: Pick<HostPaths, 'apps' | 'rootfs'>, name: string): AppPaths {
  const base = `${apps}/${name}`;
  return {
    base,
    files: { base, rootfs: `${base}/rootfs`, toc: `${base}/.toc.gz`, incoming: `${base}/.incoming` },
    images: {
      base,
      rootfs: `${rootfs}/${REGISTRY_DIR}`,
      toc: `${base}/.images.toc.gz`,
      incoming: `${base}/.images.incoming`,
    },
  };
}

/** Where a cluster's things are on this machine, in the store. */
export interface StatePaths {
  readonly dir: string;
  readonly state: string;
  readonly journal: string;
  readonly lock: string;
  readonly logs: string;
  readonly pki: string;
  readonly kubeconfig: string;
}

export function statePaths(storeRoot: string, cluster: string): StatePaths {
  const dir = join(storeRoot, 'data', cluster);
  return {
    dir,
    state: join(dir, 'cluster.json'),
    journal: join(dir, 'journal.jsonl'),
    lock: join(dir, 'lock'),
    logs: join(dir, 'logs'),
    pki: join(dir, 'pki'),
    kubeconfig: join(dir, 'admin.kubeconfig'),
  };
}
