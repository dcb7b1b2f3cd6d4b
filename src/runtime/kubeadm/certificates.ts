import { X509Certificate } from 'node:crypto';
import { basename } from 'node:path/posix';
import type { Host } from '../../hosts/host.js';
import type { HostCertificate } from '../driver.js';
import { PATHS } from './paths.js';

/** Where kubelet keeps the certificate that it renews by itself. */
const KUBELET = '/var/lib/kubelet/pki/kubelet-client-current.pem';

/** Prints every certificate of kubeadm and kubelet as `FILE PEM`, one a line. Private keys stay where they are. */
const LIST_SCRIPT = `certificate() {
  pem=$(sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' | tr '\\n' '|')
  echo "$1 $pem"
}
for file in ${PATHS.pki}/*.crt ${PATHS.pki}/etcd/*.crt ${KUBELET}; do
  [ ! -f "$file" ] || certificate "$file" <"$file"
done
for file in /etc/kubernetes/*.conf; do
  ! grep -q client-certificate-data: "$file" 2>/dev/null ||
    sed -n 's/^ *client-certificate-data: *//p' "$file" | base64 -d | certificate "$file"
done
true`;

/** The certificates of a host, by what kubeadm calls them. Asks nobody but the host. */
export async function listCertificates(host: Host): Promise<readonly HostCertificate[]> {
  const { stdout } = await host.run(LIST_SCRIPT, { title: 'reading the certificates', timeoutMs: 60_000 });
  return parseCertificates(stdout);
}

/** Reads what the script of {@link listCertificates} prints. Pure. */
export function parseCertificates(text: string): readonly HostCertificate[] {
  return text.split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    if (space < 0) return [];
    const file = line.slice(0, space);
    return [{ ...nameOf(file), file, ...contentOf(line.slice(space + 1).replaceAll('|', '\n')) }];
  });
}

/** `etcd/server.crt` is etcd-server, `ca.crt` ca: as `kubeadm certs check-expiration` calls them. */
function nameOf(file: string): Pick<HostCertificate, 'name' | 'renewed'> {
  if (file === KUBELET || file === PATHS.kubelet) return { name: 'kubelet', renewed: 'self' };
  if (file.endsWith('.conf')) return { name: basename(file), renewed: 'command' };
  const plain = basename(file, '.crt');
  const name = file.startsWith(`${PATHS.pki}/etcd/`) ? `etcd-${plain}` : plain;
  return { name, renewed: /(?:^|-)ca$/.test(plain) ? 'never' : 'command' };
}

/** Of several certificates in a file the first one to end counts. */
function contentOf(pem: string): Pick<HostCertificate, 'expires' | 'names'> {
  try {
    const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const certificates = blocks.map((block) => new X509Certificate(block));
    const ends = certificates.map(({ validTo }) => Date.parse(validTo));
    const [first] = certificates;
    if (first === undefined || ends.some(Number.isNaN)) return { expires: undefined, names: [] };
    return { expires: new Date(Math.min(...ends)).toISOString(), names: subjectNames(first) };
  } catch {
    return { expires: undefined, names: [] };
  }
}

/** Host names and addresses of a certificate. Names that Node quotes are nobody's host names, and left out. */
function subjectNames({ subjectAltName = '' }: X509Certificate): readonly string[] {
  return subjectAltName.split(', ').flatMap((item) => {
    const [, kind, name] = /^(DNS|IP Address):([^"]+)$/.exec(item) ?? [];
    return kind === undefined || name === undefined ? [] : [kind === 'DNS' ? name.toLowerCase() : shortIp(name)];
  });
}

/** OpenSSL writes `FD00:0:0:0:0:0:0:2`. */
function shortIp(text: string): string {
  return text.includes(':') ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text;
}
