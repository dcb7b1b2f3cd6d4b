import { KUBE_VERSION_LABEL } from '../../image/applications.js';
import { clusterRuntimeOf, type Metadata } from '../../image/metadata.js';
import type { Conflict } from './conflict.js';
import { allows, bothRanges } from './kube-versions.js';

/** What one of the images says about the cluster. */
export interface MetadataSide {
  readonly name: string;
  /** `kube-installer`, `app-installer` or `image`. */
  readonly type: string;
  readonly metadata: Metadata | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export interface MergedMetadata {
  /** Undefined when no image has any. */
  readonly metadata: Metadata | undefined;
  /** The constraint of the label that KUBEVERSION makes. */
  readonly kubeVersion: string | undefined;
  readonly conflicts: readonly Conflict[];
}

/** A value and the image it comes from. */
interface Said {
  readonly value: string;
  readonly by: string;
}

/**
 * The Metadata of the merged image: fields of later images win; `version` and ClusterRuntime have to be the same wherever they are said; of
 * `kubeVersion`, and of the constraints that KUBEVERSION made, what all allow remains; and the version has to be allowed by all of them.
 */
export function mergeMetadata(sides: readonly MetadataSide[]): MergedMetadata {
  const conflicts: Conflict[] = [];
  let metadata: Metadata | undefined;
  let version: Said | undefined;
  let runtime: Said | undefined;
  let range: Said | undefined;
  let label: Said | undefined;
  const constraints: Said[] = [];
  for (const { name, type, metadata: own, labels } of sides) {
    const saidLabel = said(labels[KUBE_VERSION_LABEL], name);
    label = both(label, saidLabel, conflicts);
    if (saidLabel !== undefined) constraints.push(saidLabel);
    if (own === undefined) continue;
    metadata = { ...metadata, ...withoutEmpty(own) };
    const saidRange = said(own.kubeVersion, name);
    range = both(range, saidRange, conflicts);
    if (saidRange !== undefined) constraints.push(saidRange);
    version = equal('runtime', 'the version of Kubernetes', version, said(own.version, name), conflicts);
    // An image that installs no cluster and names no runtime runs on any.
    const its = own.ClusterRuntime ?? (type === 'kube-installer' && own.version ? clusterRuntimeOf(own) : undefined);
    runtime = equal('runtime', 'ClusterRuntime', runtime, said(its, name), conflicts);
    if (metadata.NydusFlag === false && sides.some((side) => side.metadata?.NydusFlag)) metadata.NydusFlag = true;
  }
  if (version !== undefined)
    for (const { value, by } of constraints)
      if (!allows(value, version.value))
        conflicts.push({
          kind: 'kube-version',
          subject: 'the version of Kubernetes',
          earlier: version.by,
          later: by,
          reason: `${version.value} is not what ${JSON.stringify(value)} allows`,
        });
  return {
    metadata: metadata === undefined || range === undefined ? metadata : { ...metadata, kubeVersion: range.value },
    kubeVersion: label?.value,
    conflicts,
  };
}

function said(value: string | undefined, by: string): Said | undefined {
  return value === undefined || value === '' ? undefined : { value, by };
}

function withoutEmpty(metadata: Metadata): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== '' && value !== undefined));
}

function equal(
  kind: Conflict['kind'],
  subject: string,
  before: Said | undefined,
  now: Said | undefined,
  conflicts: Conflict[],
): Said | undefined {
  if (before !== undefined && now !== undefined && before.value !== now.value)
    conflicts.push({
      kind,
      subject,
      earlier: before.by,
      later: now.by,
      reason: `${before.value} and ${now.value}`,
    });
  return now ?? before;
}

function both(before: Said | undefined, now: Said | undefined, conflicts: Conflict[]): Said | undefined {
  if (before === undefined || now === undefined) return now ?? before;
  const value = bothRanges(before.value, now.value);
  if (value !== undefined) return { value, by: now.by };
  conflicts.push({
    kind: 'kube-version',
    subject: 'the versions of Kubernetes that are supported',
    earlier: before.by,
    later: now.by,
    reason: `${JSON.stringify(before.value)} and ${JSON.stringify(now.value)} have nothing in common`,
  });
  return now;
}
