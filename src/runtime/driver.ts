import type { CommandResult, Host, RunOptions } from '../hosts/host.js';
import type { ClusterRuntime } from '../image/metadata.js';

/** What a driver is told about the cluster it works on. Drivers keep no state of their own. */
export interface ClusterContext {
  readonly name: string;
  /** Where the image's rootfs is on every host. */
  readonly rootfs: string;
  /** `v1.29.2`, from Metadata. */
  readonly version: string;
  /** The first one is the one that is asked: where the cluster begins, later one that answers. */
  readonly masters: readonly Host[];
  readonly workers: readonly Host[];
  /** The in-cluster registry that hosts pull from: `sea.hub:5000`. */
  readonly registry: { readonly domain: string; readonly port: number; readonly caFile: string | undefined };
  /** Env of image, Clusterfile and flags, merged. */
  readonly env: Readonly<Record<string, string>>;
  /** KubeadmConfig, ClusterConfig, K3sConfig documents, to be merged over what the driver generates. */
  readonly configDocuments: readonly Readonly<Record<string, unknown>>[];
  readonly certSANs: readonly string[];
}

/** A node as the cluster's API knows it. */
export interface ClusterNode {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly controlPlane: boolean;
  readonly version: string;
  /** `Ready`, or why it is not: `KubeletNotReady: … cni plugin not initialized`. */
  readonly condition: string;
  /** It takes no new pods: somebody cordoned it. */
  readonly unschedulable: boolean;
}

/** What is wanted of a node's labels and taints. */
export interface NodeMarks {
  readonly labels: Readonly<Record<string, string>>;
  /** `key=value:Effect`, `key:Effect`; with a `-` behind it: there shall be no such taint. */
  readonly taints: readonly string[];
}

/** The networks inside a cluster. */
export interface ClusterNetworks {
  /** `100.64.0.0/10`; of a dual-stack cluster both, separated by a comma. */
  readonly podCIDR: string;
  readonly serviceCIDR: string;
}

/** A step of a driver: asked whether it is done already, done when not. */
export interface DriverStep {
  /** `kubeadm init`, shown to people. */
  readonly title: string;
  /** Asks the host or the cluster. Changes nothing. */
  done(): Promise<boolean>;
  /** @param note takes what a person should know besides the output of commands, one line each. */
  run(note: (line: string) => void, signal?: AbortSignal): Promise<void>;
}

/** How a host is taken out of a cluster. */
export interface RemoveOptions {
  /** How long its pods may take to go elsewhere; when they do not, it stays. 0: it goes at once, with them. */
  readonly drainTimeoutMs: number;
}

/** How a node is taken to another version. */
export interface UpgradeOptions {
  /** The version that it has; empty when that is not known. */
  readonly from: string;
  /** How long its pods may take to go elsewhere; 0: they stay. */
  readonly drainTimeoutMs: number;
  /** How long the node may take to be Ready again. */
  readonly readyTimeoutMs: number;
  /** Sets the host up anew, by the scripts of the image. */
  readonly setUp: (signal: AbortSignal | undefined) => Promise<void>;
}

/** Installs one kind of Kubernetes. Talks to hosts only through {@link Host}. */
export interface RuntimeDriver {
  readonly name: ClusterRuntime;
  /** Programs that a rootfs must bring, relative to its root. */
  readonly programs: readonly string[];
  /** TCP ports that must be free on a host before it becomes this. */
  ports(role: 'master' | 'worker'): readonly number[];
  /** The networks that the cluster gets from these documents (and defaults). */
  networks(configDocuments: ClusterContext['configDocuments']): ClusterNetworks;
  init(first: Host, cluster: ClusterContext): DriverStep;
  joinMaster(host: Host, cluster: ClusterContext): DriverStep;
  joinWorker(host: Host, cluster: ClusterContext): DriverStep;
  /** Gives the nodes of hosts (by address) labels and taints, and takes away what it gave them earlier and is not wanted any more. */
  mark(first: Host, cluster: ClusterContext, marks: ReadonlyMap<string, NodeMarks>): DriverStep;
  /** Lets a host find the API servers of all masters, also when masters come and go. */
  follow(host: Host, cluster: ClusterContext): DriverStep;
  /** Takes the host out of the cluster (drain, delete) through the master that is asked; the host itself may be down. */
  remove(host: Host, cluster: ClusterContext, options: RemoveOptions): DriverStep;
  /** Why the cluster cannot be taken to the version in the context; undefined when it can. Asks it, changes nothing. */
  upgradeProblem(cluster: ClusterContext): Promise<string | undefined>;
  /** Lets a node fetch the images of the version in the context. */
  preload(host: Host, cluster: ClusterContext): DriverStep;
  /** Takes a node to the version in the context, and gives it back when it is Ready. */
  upgrade(host: Host, cluster: ClusterContext, options: UpgradeOptions): DriverStep;
  /** Why these hosts cannot be taken out (the cluster would lose its quorum); undefined when they can. Changes nothing. */
  removalProblem(hosts: readonly Host[], cluster: ClusterContext): Promise<string | undefined>;
  /** Takes everything the driver put on a host away. Works on a host that is half installed, and again, and without the image. */
  reset(host: Host, rootfs: string): DriverStep;
  /** The admin kubeconfig, as YAML text, with the server address that this machine can reach. */
  kubeconfig(first: Host, cluster: ClusterContext): Promise<string>;
  /** Those of these masters that were set up to their end, whether or not they answer at the moment. */
  wholeMasters(masters: readonly Host[]): Promise<readonly Host[]>;
  /** The first of these masters that is set up to its end and answers; undefined when none does. */
  liveMaster(masters: readonly Host[], rootfs: string): Promise<Host | undefined>;
  /** Runs kubectl with the administrator's rights on a master. */
  kubectl(
    master: Host,
    rootfs: string,
    args: readonly string[],
    options?: Pick<RunOptions, 'stdin' | 'timeoutMs' | 'allowFailure' | 'title'> & {
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<CommandResult>;
  nodes(first: Host, cluster: Pick<ClusterContext, 'rootfs'>): Promise<readonly ClusterNode[]>;
  /** Where the admin kubeconfig is on a master. */
  readonly adminKubeconfig: string;
}
