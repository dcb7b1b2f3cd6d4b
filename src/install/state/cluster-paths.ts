import { join } from 'node:path';

/** Where a cluster's things are on a host. */
export interface HostPaths {
  /** `/var/lib/slipway/data/CLUSTER`. When the host is this machine it may be the directory of the state as well. */
  readonly base: string;
  /** The image's files. */
  readonly rootfs: string;
  /** What was put into rootfs: a table of contents, JSON lines, gzip. */
  readonly toc: string;
  /** Where files arrive before they are moved into rootfs: on the same file system. */
  readonly incoming: string;
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
    setup: `${base}/.setup.json`,
    hooks: `${base}/.hooks.json`,
    owner: `${base}/.owner.json`,
    state: `${base}/.cluster.json`,
    backups: `${dataRoot}/backups`,
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
