import { basename } from 'node:path/posix';
import type { Host } from '../../hosts/host.js';
import type { HostCertificate } from '../driver.js';
import { listScript, parseCertificates as parse } from '../kubernetes/certificates.js';
import { PATHS } from './paths.js';

/** The certificate that kubelet has asked for, and renews by itself. */
const KUBELET = `${PATHS.kubeletPki}/kubelet-client-current.pem`;

/** The certificates of a host, by the names of k0s' files. Asks nobody but the host. */
export async function listCertificates(host: Host): Promise<readonly HostCertificate[]> {
  const { stdout } = await host.run(listScript([`${PATHS.pki}/*.crt`, `${PATHS.pki}/etcd/*.crt`, KUBELET]), {
    title: 'reading the certificates',
    timeoutMs: 60_000,
  });
  return parseCertificates(stdout);
}

/** Reads what the script of {@link listCertificates} prints. Pure. */
export function parseCertificates(text: string): readonly HostCertificate[] {
  return parse(text, nameOf);
}

/** `etcd/server.crt` is etcd-server, `server.crt` (of the API server) server. */
function nameOf(file: string): Pick<HostCertificate, 'name' | 'renewed'> {
  if (file === KUBELET) return { name: 'kubelet', renewed: 'self' };
  const plain = basename(file, '.crt');
  const name = file.startsWith(`${PATHS.pki}/etcd/`) ? `etcd-${plain}` : plain;
  return { name, renewed: /(?:^|-)ca$/.test(plain) ? 'never' : 'command' };
}
