import { X509Certificate } from 'node:crypto';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { HostCertificate } from '../driver.js';

/**
 * Prints every certificate of these files, and of kubeconfigs with one inside, as `FILE PEM`, one a line; what is not there is passed over.
 * Private keys stay where they are. Pure.
 * @param files patterns of the shell: `/etc/pki/*.crt`
 */
export function listScript(files: readonly string[], kubeconfigs: readonly string[] = []): string {
  const inside =
    kubeconfigs.length === 0
      ? ''
      : `for file in ${kubeconfigs.join(' ')}; do
  ! grep -q client-certificate-data: "$file" 2>/dev/null ||
    sed -n 's/^ *client-certificate-data: *//p' "$file" | base64 -d | certificate "$file"
done
`;
  return `certificate() {
  pem=$(sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' | tr '\\n' '|')
  echo "$1 $pem"
}
for file in ${files.join(' ')}; do
  [ ! -f "$file" ] || certificate "$file" <"$file"
done
${inside}true`;
}

/** Reads what {@link listScript} prints. Pure. @param nameOf what a runtime calls the certificate in a file */
export function parseCertificates(
  text: string,
  nameOf: (file: string) => Pick<HostCertificate, 'name' | 'renewed'>,
): readonly HostCertificate[] {
  return text.split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    if (space < 0) return [];
    const file = line.slice(0, space);
    return [{ ...nameOf(file), file, ...contentOf(line.slice(space + 1).replaceAll('|', '\n')) }];
  });
}

/** Whether a certificate has ended, or does not say when it does. */
export function hasEnded({ expires = '' }: HostCertificate, nowMs = Date.now()): boolean {
  return !(Date.parse(expires) > nowMs);
}

/** SHA-256 of files on a host, those that are there. */
export async function fileDigests(host: Host, files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await host.run(`sha256sum -- ${files.map(shellQuote).join(' ')} 2>/dev/null\ntrue`, {
    title: 'looking whether certificates are new',
    timeoutMs: 60_000,
  });
  return new Map(
    stdout.split('\n').flatMap((line) => {
      const [, digest, file] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
      return digest === undefined || file === undefined ? [] : [[file, digest] as const];
    }),
  );
}

/** Files that are what they were. Pure. */
export function unchanged(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): readonly string[] {
  return [...before].flatMap(([file, digest]) => (after.get(file) === digest ? [file] : []));
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
