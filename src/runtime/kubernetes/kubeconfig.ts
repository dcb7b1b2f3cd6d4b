import { parseDocument } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';

/** Where API servers listen, whatever the runtime. */
const API_SERVER_PORT = 6443;

const kubeconfigSchema = z.looseObject({
  clusters: z.array(z.looseObject({ name: z.string(), cluster: z.looseObject({ server: z.string() }) })).min(1),
});

/**
 * A kubeconfig in which every cluster's server is the API server of `address`.
 * @throws SlipwayError E_CLUSTER_STATE when the text is not a kubeconfig.
 */
export function withServer(text: string, address: string, what: string): string {
  const document = parseDocument(text);
  const parsed = kubeconfigSchema.safeParse(document.errors.length === 0 ? document.toJS() : undefined);
  if (!parsed.success) {
    throw new SlipwayError('E_CLUSTER_STATE', `${what} is not a kubeconfig: ${zodProblems(parsed.error)}`);
  }
  const host = address.includes(':') ? `[${address}]` : address;
  parsed.data.clusters.forEach((_cluster, index) => {
    document.setIn(['clusters', index, 'cluster', 'server'], `https://${host}:${API_SERVER_PORT}`);
  });
  return document.toString({ lineWidth: 0 });
}
