import { SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import type { Host } from '../../hosts/host.js';
import { type K3sRole, PATHS } from './paths.js';

/** The full form: prefix, SHA-256 of the cluster's CA certificate, user and password. Source: k3s, "k3s token". */
const FULL = /^K10([0-9a-f]{64})::([^:]+):(\S+)$/;

/** A token that joins a host, and whose cluster it is. */
export interface JoinToken {
  readonly text: string;
  readonly caHash: string;
}

/** Reads a token in its full form, which lets the joining host know the cluster before it says anything secret. Pure but for redaction. */
export function parseToken(text: string, where: string): JoinToken {
  const token = text.trim();
  const [, caHash, , password] = FULL.exec(token) ?? [];
  if (caHash === undefined || password === undefined) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${where} is no token of k3s in its full form (K10<hash>::<user>:<password>)`,
    );
  }
  registerSecret(password);
  registerSecret(token);
  return { text: token, caHash };
}

/** The token of the cluster, from a master. @throws SlipwayError E_CLUSTER_STATE */
export async function readToken(master: Host, role: K3sRole): Promise<JoinToken> {
  const path = role === 'server' ? PATHS.token : PATHS.nodeToken;
  const text = (await master.readFile(path))?.toString('utf8');
  if (text === undefined) {
    throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: ${path} is missing`, {
      hint: 'no k3s server has come up there',
    });
  }
  return parseToken(text, `${path} of ${master.address}`);
}
