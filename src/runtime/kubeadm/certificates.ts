import { basename } from 'node:path/posix';
import type { Host } from '../../hosts/host.js';
import type { HostCertificate } from '../driver.js';
import { listScript, parseCertificates as parse } from '../kubernetes/certificates.js';
import { PATHS } from './paths.js';

/** Where kubelet keeps the certificate that it renews by itself. */
const KUBELET = '/var/lib/kubelet/pki/kubelet-client-current.pem';

/** The certificates of a host, by what kubeadm calls them. Asks nobody but the host. */
export async function listCertificates(host: Host): Promise<readonly HostCertificate[]> {
  const script = listScript([`${PATHS.pki}/*.crt`, `${PATHS.pki}/etcd/*.crt`, KUBELET], ['/etc/kubernetes/*.conf']);
  const { stdout } = await host.run(script, { title: 'reading the certificates', timeoutMs: 60_000 });
  return parseCertificates(stdout);
}

/** Reads what the script of {@link listCertificates} prints. Pure. */
export function parseCertificates(text: string): readonly HostCertificate[] {
  return parse(text, nameOf);
}

/** `etcd/server.crt` is etcd-server, `ca.crt` ca: as `kubeadm certs check-expiration` calls them. */
function nameOf(file: string): Pick<HostCertificate, 'name' | 'renewed'> {
  if (file === KUBELET || file === PATHS.kubelet) return { name: 'kubelet', renewed: 'self' };
  if (file.endsWith('.conf')) return { name: basename(file), renewed: 'command' };
  const plain = basename(file, '.crt');
  const name = file.startsWith(`${PATHS.pki}/etcd/`) ? `etcd-${plain}` : plain;
  return { name, renewed: /(?:^|-)ca$/.test(plain) ? 'never' : 'command' };
}
