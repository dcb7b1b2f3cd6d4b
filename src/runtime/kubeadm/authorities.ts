import { durationMs } from '../../base/duration.js';
import type { KeyPair } from '../../base/make-certificates.js';
import type { Host } from '../../hosts/host.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { isAtLeast } from '../kubernetes/version.js';
import { collectDocuments } from './documents.js';
import { PATHS } from './paths.js';

/**
 * How long CAs are to be good that must be made for kubeadm, which before 1.31 makes them for ten years only, in milliseconds.
 * Undefined: kubeadm makes them. Pure.
 */
export function authorityLife(version: string, documents: readonly JsonObject[]): number | undefined {
  if (isAtLeast(version, '1.31')) return undefined;
  const wanted = collectDocuments(documents).ClusterConfiguration.caCertificateValidityPeriod;
  return typeof wanted === 'string' ? durationMs(wanted) : undefined;
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
