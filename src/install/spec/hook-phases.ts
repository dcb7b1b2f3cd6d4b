/** A moment of an installation, or of its end, at which plugins may do something. */
export interface HookPhase {
  /** On the master that is asked, once for the whole cluster; or on every host that is chosen. */
  readonly where: 'first-master' | 'hosts';
  /** The API server answers, or should: what needs it may be done. */
  readonly clusterUp: boolean;
  /** Nodes have their labels: hosts may be chosen by them. */
  readonly labelled: boolean;
}

const early = { where: 'hosts', clusterUp: false, labelled: false } as const;
const onHosts = { where: 'hosts', clusterUp: true, labelled: true } as const;
const onMaster = { where: 'first-master', clusterUp: true, labelled: false } as const;
const onMasterAlone = { where: 'first-master', clusterUp: false, labelled: false } as const;

/**
 * By the names that sealer gave them: up to 0.8 in capitals, all of them on hosts; since 0.9 with hyphens.
 * Source: sealer, pkg/plugin/plugin.go of 0.8 and pkg/cluster-runtime/hook.go of 0.9.
 */
export const HOOK_PHASES = {
  Originally: early,
  PreInit: early,
  PreInstall: early,
  PreJoin: { ...early, clusterUp: true },
  PreGuest: onHosts,
  PostInstall: onHosts,
  PostJoin: onHosts,
  PreClean: onHosts,
  PostClean: early,
  'pre-install': onMasterAlone,
  'post-install': onMaster,
  'pre-scaleup': onMaster,
  'post-scaleup': onMaster,
  'pre-uninstall': onMaster,
  'post-uninstall': onMasterAlone,
  upgrade: onMaster,
  rollback: onMaster,
  'pre-init-host': early,
  // Before the labels of the Clusterfile are given.
  'post-init-host': { ...onHosts, labelled: false },
  'pre-clean-host': onHosts,
  'post-clean-host': early,
  'upgrade-host': onHosts,
} as const satisfies Readonly<Record<string, HookPhase>>;

export type HookPhaseName = keyof typeof HOOK_PHASES;

export const HOOK_PHASE_NAMES = Object.keys(HOOK_PHASES) as readonly HookPhaseName[];

export function isHookPhase(name: string): name is HookPhaseName {
  return Object.hasOwn(HOOK_PHASES, name);
}
