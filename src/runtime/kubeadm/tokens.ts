import { randomBytes } from 'node:crypto';
import { stringify } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import type { Host } from '../../hosts/host.js';
import type { CommandOptions } from '../kubernetes/ask.js';
import { kubectl } from './commands.js';
import { PATHS } from './paths.js';

/** A token for one join. */
const TOKEN_LIFE_MS = 2 * 60 * 60 * 1000;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A fresh bootstrap token, `[a-z0-9]{6}.[a-z0-9]{16}`, known to the redaction. */
export function newBootstrapToken(): string {
  const secret = letters(16);
  registerSecret(secret);
  return `${letters(6)}.${secret}`;
}

/** A fresh key for `upload-certs`: 32 bytes in hexadecimal, known to the redaction. */
export function newCertificateKey(): string {
  const key = randomBytes(32).toString('hex');
  registerSecret(key);
  return key;
}

/**
 * The Secret that makes the API server accept a token, as `kubeadm token create` writes it. It travels on standard input: given
 * to kubeadm as an argument the token would be seen in the list of processes.
 * Source: Kubernetes, "Authenticating with Bootstrap Tokens".
 */
export function tokenManifest(token: string, now: number): string {
  const [id = '', secret = ''] = token.split('.');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { name: secretName(id), namespace: 'kube-system' },
    stringData: {
      description: 'made by slipway for one join',
      'token-id': id,
      'token-secret': secret,
      expiration: new Date(now + TOKEN_LIFE_MS).toISOString().replace(/\.\d+Z$/, 'Z'),
      'usage-bootstrap-authentication': 'true',
      'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    },
  });
}

/** Runs `work` with a token that the cluster accepts, and takes the token back when it has ended, in whatever way. */
export async function withJoinToken<T>(
  master: Host,
  rootfs: string,
  options: CommandOptions,
  work: (token: string) => Promise<T>,
): Promise<T> {
  const token = newBootstrapToken();
  // apply, not create: asked again after an answer that got lost, it is content with what is there.
  await kubectl(master, rootfs, ['apply', '-f', '-'], {
    ...options,
    stdin: tokenManifest(token, Date.now()),
    title: 'making a join token',
  });
  try {
    return await work(token);
  } finally {
    const name = secretName(token.split('.')[0] ?? '');
    // One that cannot be taken back expires by itself.
    await kubectl(master, rootfs, ['-n', 'kube-system', 'delete', 'secret', name, '--ignore-not-found'], {
      allowFailure: true,
      title: 'taking the join token back',
    }).catch(() => undefined);
  }
}

/** A kubeconfig that lets a kubelet, or `kubeadm join`, find a cluster and ask it for a certificate. Pure. */
export function bootstrapKubeconfig(server: string, ca: Uint8Array, token: string): string {
  const data = Buffer.from(ca).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kubernetes', cluster: { server, 'certificate-authority-data': data } }],
    users: [{ name: 'kubelet-bootstrap', user: { token } }],
    contexts: [{ name: 'bootstrap', context: { cluster: 'kubernetes', user: 'kubelet-bootstrap' } }],
    'current-context': 'bootstrap',
  });
}

/** The CA of the cluster, PEM. @throws SlipwayError E_CLUSTER_STATE when the master has none. */
export async function readCa(master: Host): Promise<Buffer> {
  const pem = await master.readFile(PATHS.caCertificate);
  if (pem !== undefined) return pem;
  throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: ${PATHS.caCertificate} is missing`, {
    hint: 'the first master is not initialised; run the same command again',
  });
}

function secretName(id: string): string {
  return `bootstrap-token-${id}`;
}

/** Random letters without bias: bytes past the last whole multiple of 36 are thrown away. */
function letters(count: number): string {
  let text = '';
  while (text.length < count) {
    for (const byte of randomBytes(count)) if (byte < 252 && text.length < count) text += ALPHABET[byte % 36];
  }
  return text;
}
