import { createHash, randomBytes, X509Certificate } from 'node:crypto';
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
      'usage-bootstrap-signing': 'true',
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

/** The pin of the cluster's CA for discovery: sha256 of its public key (SubjectPublicKeyInfo, DER). */
export function caCertHash(pem: string | Uint8Array): string {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

/** {@link caCertHash} of a master's CA. @throws SlipwayError E_CLUSTER_STATE when it has none. */
export async function readCaCertHash(master: Host): Promise<string> {
  const pem = await master.readFile(PATHS.caCertificate);
  if (pem === undefined) {
    throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: ${PATHS.caCertificate} is missing`, {
      hint: 'the first master is not initialised; run the same command again',
    });
  }
  return caCertHash(pem);
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
