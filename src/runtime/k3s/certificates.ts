import { basename } from 'node:path/posix';
import type { Host } from '../../hosts/host.js';
import type { HostCertificate } from '../driver.js';
import { listScript, parseCertificates as parse } from '../kubernetes/certificates.js';
import { PATHS } from './paths.js';

const { tls, agent } = PATHS;

/** The certificates of a host, by the names of k3s' files. Asks nobody but the host. */
export async function listCertificates(host: Host): Promise<readonly HostCertificate[]> {
  const { stdout } = await host.run(listScript([`${tls}/*.crt`, `${tls}/etcd/*.crt`, `${agent}/*.crt`]), {
    title: 'reading the certificates',
    timeoutMs: 60_000,
  });
  return parseCertificates(stdout);
}

/** Reads what the script of {@link listCertificates} prints. A server's agent has copies of its CAs: once is enough. Pure. */
export function parseCertificates(text: string): readonly HostCertificate[] {
  const all = parse(text, nameOf);
  const server = all.some(({ file }) => file.startsWith(`${tls}/`));
  return all.filter(({ file, renewed }) => !(server && renewed === 'never' && file.startsWith(`${agent}/`)));
}

/** `etcd/client.crt` is etcd-client. What is in the agent's directory, k3s fetches anew whenever it starts. */
function nameOf(file: string): Pick<HostCertificate, 'name' | 'renewed'> {
  const plain = basename(file, '.crt');
  if (/(?:^|-)ca(?:\.nochain)?$/.test(plain)) {
    return { name: file.startsWith(`${tls}/etcd/`) ? `etcd-${plain}` : plain, renewed: 'never' };
  }
  if (file.startsWith(`${agent}/`)) return { name: `agent-${plain}`, renewed: 'self' };
  return { name: file.startsWith(`${tls}/etcd/`) ? `etcd-${plain}` : plain, renewed: 'command' };
}
