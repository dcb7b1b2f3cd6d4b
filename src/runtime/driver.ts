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
  /** How long a node may take to come up when it is begun or joined; undefined: as long as the driver thinks right. */
  readonly nodeTimeoutMs?: number | undefined;
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

/** Where the container images of a cluster are pulled from. */
export interface ImageSource {
  /** How names of images begin that are only there: `sea.hub:5000`. */
  readonly own: readonly string[];
  /** Where it is asked, in turn: `https://sea.hub:5000`. */
  readonly endpoints: readonly string[];
  /** Registries whose images are found there as well: `docker.io`. */
  readonly upstreams: readonly string[];
  /** Its CA, as a file on every host; undefined: those that the host knows anyway, or none without TLS. */
  readonly caFile: string | undefined;
  readonly login: { readonly username: string; readonly password: string } | undefined;
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

/** A certificate that a runtime has on a host. */
export interface HostCertificate {
  /** As the runtime calls it: `apiserver`, `etcd-server`, `admin.conf`. */
  readonly name: string;
  readonly file: string;
  /** ISO 8601; undefined when the file cannot be read. */
  readonly expires: string | undefined;
  /** Host names and addresses that it is good for. */
  readonly names: readonly string[];
  /** `command`: by {@link CertificateWork.renew}; `self`: whoever uses it renews it; `never`: a CA, which is replaced by hand. */
  readonly renewed: 'command' | 'self' | 'never';
}

/** What a driver does with the certificates of a cluster. */
export interface CertificateWork {
  /**
   * Names that the configuration wants in the API servers' certificates, besides those that all have. Undefined: they get there with the
   * other settings.
   */
  wantedNames?(cluster: ClusterContext): readonly string[];
  /** Those of a host. Asks the host alone: the cluster may be refusing. */
  list(host: Host): Promise<readonly HostCertificate[]>;
  /**
   * Makes the API server of a master good for more names; the cluster keeps them for masters to come. Done means that it serves them.
   */
  addNames(master: Host, cluster: ClusterContext, names: readonly string[]): DriverStep;
  /**
   * Renews the certificates of a master and sees that everything uses them; also when they have ended and no API server answers. Whether
   * that was done lately only the caller knows: `done` is false.
   */
  renew(master: Host, cluster: ClusterContext): DriverStep;
  /** Lets a host have an identity again that could not renew its own in time. Masters first: they need no API server for it. */
  revive(host: Host, cluster: ClusterContext): DriverStep;
}

/** What a cluster says of itself to somebody who knows nothing of it. */
export interface ClusterDescription {
  /** Of the control plane. */
  readonly version: string;
  /** Documents that bring about the same settings. */
  readonly configDocuments: ClusterContext['configDocuments'];
  /** Names in the API servers' certificates that nobody makes up who does not know them. */
  readonly certSANs: readonly string[];
}

/** How a host is taken out of a cluster. */
export interface RemoveOptions {
  /** How long its pods may take to go elsewhere; when they do not, it stays. 0: it goes at once, with them. */
  readonly drainTimeoutMs: number;
}

/** How one host is taken out. */
export interface HostRemoval extends RemoveOptions {
  /** It answers, and says that it is of this cluster: what runs there may be stopped. */
  readonly ours: boolean;
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

/** Why a version cannot be installed, and what can be done. */
export interface InstallProblem {
  /** It is said in the documents, whatever the image. */
  readonly inDocuments?: true;
  readonly problem: string;
  readonly hint: string;
}

/** Installs one kind of Kubernetes. Talks to hosts only through {@link Host}. */
export interface RuntimeDriver {
  readonly name: ClusterRuntime;
  /** Programs that a rootfs must bring, relative to its root. */
  readonly programs: readonly string[];
  /** Programs that a host must have, unless the rootfs brings them in `bin/`. */
  readonly hostPrograms: readonly string[];
  /** It brings its own container runtime: none runs when the scripts of the image have set a host up. */
  readonly ownContainerRuntime: boolean;
  /** It brings a network for pods: the image need not. */
  readonly ownNetwork: boolean;
  /** TCP ports that must be free on a host before it becomes this. */
  ports(role: 'master' | 'worker'): readonly number[];
  /** The systemd unit whose log says why a node does not get Ready. */
  nodeUnit(role: 'master' | 'worker'): string;
  /** The file in which a host has its settings of registries, where the runtime does not read containerd's `certs.d`. Read when it starts. */
  registrySettings?(source: ImageSource): { readonly path: string; readonly content: string; readonly mode: number };
  /** Kinds of documents in a Clusterfile that it reads. */
  readonly documentKinds: readonly string[];
  /** The document that gives the API servers' certificates more names, to stand beside these in a Clusterfile. */
  namesDocument(names: readonly string[], beside: ClusterContext['configDocuments']): object;
  /** The networks that the cluster gets from these documents (and defaults). */
  networks(configDocuments: ClusterContext['configDocuments']): ClusterNetworks;
  /** Why this version cannot be installed as the context wants it; undefined when it can, or nothing is known. Asks nobody. */
  installProblem?(cluster: ClusterContext): InstallProblem | undefined;
  init(first: Host, cluster: ClusterContext): DriverStep;
  joinMaster(host: Host, cluster: ClusterContext): DriverStep;
  joinWorker(host: Host, cluster: ClusterContext): DriverStep;
  /** Gives the nodes of hosts (by address) labels and taints, and takes away what it gave them earlier and is not wanted any more. */
  mark(first: Host, cluster: ClusterContext, marks: ReadonlyMap<string, NodeMarks>): DriverStep;
  /** Lets a host find the API servers of all masters, also when masters come and go. Undefined: it finds them by itself. */
  follow?(host: Host, cluster: ClusterContext): DriverStep;
  /** A worker can be led there before the cluster begins. */
  readonly followsAhead?: boolean;
  /** Takes the host out of the cluster (drain, delete) through the master that is asked; the host itself may be down. */
  remove(host: Host, cluster: ClusterContext, options: HostRemoval): DriverStep;
  /** Why the cluster cannot be taken to the version in the context; undefined when it can. Asks it, changes nothing. */
  upgradeProblem(cluster: ClusterContext): Promise<string | undefined>;
  /** Lets a node fetch the images of the version in the context. */
  preload(host: Host, cluster: ClusterContext): DriverStep;
  /**
   * Whether what runs on a master that is whole is only stopped, and `init` starts it: where an upgrade stops it, one that was killed
   * leaves it so. Undefined: an upgrade stops no API server for long.
   */
  stopped?(master: Host): Promise<boolean>;
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
  /** Saves what the cluster's etcd has into a file on a master, for root alone; undefined when it has none of its own. */
  saveEtcd?(master: Host, cluster: Pick<ClusterContext, 'rootfs'>, file: string, signal?: AbortSignal): Promise<void>;
  /** How names of such files end; default `.db`: a snapshot as etcd itself makes it. */
  readonly etcdFileType?: string;
  /** Where the admin kubeconfig is on a master. */
  readonly adminKubeconfig: string;
  /** What documents of {@link documentKinds} say in vain, for people: fields that nobody reads, or not in this version. */
  unknownFields?(cluster: ClusterContext): readonly string[];
  /**
   * What documents say now and said before, but a cluster that is up does not take over, for people; undefined: nothing.
   */
  ignoredChange?(before: ClusterContext['configDocuments'], now: ClusterContext['configDocuments']): string | undefined;
  /** Undefined: Slipway leaves the certificates of this runtime alone. */
  readonly certificates?: CertificateWork;
  /** Reads a cluster that nothing is known of. Undefined: it cannot say more than its nodes do. */
  readonly describe?: (master: Host, rootfs: string) => Promise<ClusterDescription>;
}
