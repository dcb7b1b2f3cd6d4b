/** What labels and taints of nodes may look like. Source: Kubernetes, "Labels and Selectors", "Taints and Tolerations". */

export const LABEL_NAME = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
export const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/;

export const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'] as const;
/** `key=value:Effect`, `key:Effect`; with a `-` behind it: there shall be no such taint. */
export const TAINT = /^[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?(?:=[\w.-]*)?:(?:NoSchedule|PreferNoSchedule|NoExecute)-?$/;

/** A host name that can name a node. */
export const NODE_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/;
