import { X509Certificate } from 'node:crypto';
import { basename } from 'node:path/posix';
import type { Finding } from './finding.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const SOON_MS = 30 * DAY_MS;

/** What ends soon, or has ended, of a host's certificates. Pure. */
export function certificateFindings(
  host: string,
  certificates: readonly { readonly file: string; readonly pem: string }[],
  nowMs: number,
): Finding[] {
  return certificates.flatMap(({ file, pem }) => {
    const ends = endOf(pem);
    const common = { host, check: 'certificates' as const };
    if (ends === undefined) {
      return [
        {
          ...common,
          severity: 'problem' as const,
          what: `the certificate ${file} cannot be read`,
          why: 'it is damaged',
          fix: 'bring it back from a copy, or make a new one',
        },
      ];
    }
    const left = ends - nowMs;
    if (left > SOON_MS) return [];
    const date = new Date(ends).toISOString().slice(0, 16).replace('T', ' ');
    return [
      {
        ...common,
        severity: left <= 0 ? ('problem' as const) : ('warning' as const),
        what: `the certificate ${file} ${left <= 0 ? 'has ended' : 'ends soon'}`,
        why: left <= 0 ? `it was good until ${date} UTC` : `it is good until ${date} UTC, ${days(left)} from now`,
        fix: renewal(file),
      },
    ];
  });
}

/** When the first of the certificates in a file ends; undefined when one cannot be read. */
function endOf(pem: string): number | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const ends = blocks.map((block) => Date.parse(new X509Certificate(block).validTo));
    return ends.length === 0 || ends.some(Number.isNaN) ? undefined : Math.min(...ends);
  } catch {
    return undefined;
  }
}

function renewal(file: string): string {
  if (file.startsWith('/var/lib/kubelet/')) return 'kubelet renews it by itself: "journalctl -u kubelet" says why not';
  if (file.startsWith('/var/lib/k0s/kubelet/')) {
    return 'kubelet renews it by itself: "journalctl -u k0sworker" (on a master k0scontroller) says why not';
  }
  if (/(?:^|-)ca(?:\.nochain)?\.crt$/.test(basename(file)))
    return 'a CA is replaced by hand: see the manual of Kubernetes on it';
  if (/^\/(?:etc\/kubernetes|var\/lib\/k0s\/pki|var\/lib\/rancher\/k3s)\//.test(file)) return 'slipway cert --renew';
  return 'make a new one';
}

function days(ms: number): string {
  const whole = Math.floor(ms / DAY_MS);
  return whole === 1 ? '1 day' : `${whole} days`;
}
