import { durationMs } from '../../base/duration.js';
import type { KeyPair } from '../../base/make-certificates.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, InstallProblem } from '../driver.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { isAtLeast } from '../kubernetes/version.js';
import { collectDocuments } from './documents.js';
import { PATHS } from './paths.js';

/** The field of a ClusterConfiguration that says how long CAs are good. */
const FIELD = 'caCertificateValidityPeriod';
/** kubeadm obeys it, and `certificateValidityPeriod`, from this release on. */
const SINCE = '1.31';
/** What Go's durations can say, in milliseconds: 292 years. */
const LONGEST_MS = 2 ** 63 / 1e6;

/**
 * How long CAs are to be good that must be made for kubeadm, which before 1.31 makes them for ten years only, in milliseconds.
 * Undefined: kubeadm makes them. Pure.
 */
export function authorityLife(version: string, documents: readonly JsonObject[]): number | undefined {
  if (isAtLeast(version, SINCE)) return undefined;
  const wanted = collectDocuments(documents).ClusterConfiguration[FIELD];
  return typeof wanted === 'string' ? durationMs(wanted) : undefined;
}

/** A life of CAs that is none. Pure. */
export function installProblem({ configDocuments }: ClusterContext): InstallProblem | undefined {
  const wanted = collectDocuments(configDocuments).ClusterConfiguration[FIELD];
  if (wanted === undefined || wanted === null) return undefined;
  const life = typeof wanted === 'string' ? durationMs(wanted) : undefined;
  if (life !== undefined && life <= LONGEST_MS) return undefined;
  return {
    problem: `ClusterConfiguration: ${FIELD} is ${JSON.stringify(wanted)}, which is no duration of up to 292 years`,
    hint: 'hours, minutes and seconds can be said: 876000h0m0s are a hundred years',
  };
}

/** What this version of kubeadm passes over in silence, and nobody does for it. Pure. */
export function laterFields(version: string, documents: readonly JsonObject[]): readonly string[] {
  if (isAtLeast(version, SINCE) || collectDocuments(documents).ClusterConfiguration.certificateValidityPeriod == null)
    return [];
  return [
    `ClusterConfiguration: certificateValidityPeriod is passed over by kubeadm ${version} (it needs v${SINCE}): certificates are good for a year, and "slipway cert --renew" makes them anew`,
  ];
}

/**
 * Lays CAs of this life where `kubeadm init` looks for them, and takes those that are there for its own. Their keys are on no disk but the
 * master's; masters that join get them from it.
 * Source: Kubernetes, "Certificate Management with kubeadm", custom certificates.
 */
export async function layAuthorities(first: Host, lifeMs: number, documents: readonly JsonObject[]): Promise<void> {
  // Heavy, and seldom needed.
  const { makeKubernetesAuthority } = await import('../../base/make-certificates.js');
  const { etcd } = collectDocuments(documents).ClusterConfiguration;
  const external = isObject(etcd) && isObject(etcd.external);
  const authorities = [
    ['kubernetes', 'ca'],
    ['front-proxy-ca', 'front-proxy-ca'],
    ...(external ? [] : [['etcd-ca', 'etcd/ca'] as const]),
  ] as const;
  await Promise.all(
    authorities.map(async ([name, file]) => layPair(first, file, await makeKubernetesAuthority(name, lifeMs))),
  );
}

async function layPair(host: Host, file: string, { certificate, key }: KeyPair): Promise<void> {
  await Promise.all([
    host.writeFile(`${PATHS.pki}/${file}.key`, key, { mode: 0o600 }),
    host.writeFile(`${PATHS.pki}/${file}.crt`, certificate, { mode: 0o644 }),
  ]);
}
