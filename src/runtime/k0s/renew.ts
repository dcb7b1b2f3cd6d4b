import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { DriverStep } from '../driver.js';
import { fileDigests, unchanged } from '../kubernetes/certificates.js';
import { listCertificates } from './certificates.js';
import { refreshRootKubeconfig } from './kubeconfig.js';
import { PATHS } from './paths.js';
import { restartController } from './restart.js';

/** Without new ones of these nothing is renewed; others may lie there of which k0s makes no use any more. */
const NEEDED = [`${PATHS.pki}/server.crt`, `${PATHS.pki}/admin.crt`];

/**
 * Renews what k0s makes on a master: it makes all of its certificates and kubeconfigs anew whenever it starts, of each CA whose key is there.
 * Source: k0s, pkg/certificate/manager.go (regenerateCert) of v1.23 to v1.36.
 */
export function renewStep(master: Host): DriverStep {
  return {
    title: 'renew the certificates',
    done: async () => false,
    async run(note, signal) {
      const files = (await listCertificates(master)).flatMap(({ file, renewed }) =>
        renewed === 'command' ? [file] : [],
      );
      if (files.length === 0) {
        throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: there are no certificates in ${PATHS.pki}`);
      }
      const before = await fileDigests(master, files);
      await restartController(master, signal);
      const old = unchanged(before, await fileDigests(master, files));
      if (old.some((file) => NEEDED.includes(file))) {
        throw new SlipwayError(
          'E_CLUSTER_STATE',
          `${master.address}: k0s was started again and did not renew ${old.join(', ')}`,
          {
            hint: `without ${PATHS.pki}/ca.key it cannot: the CA is kept elsewhere, and certificates are made there`,
          },
        );
      }
      if (old.length > 0) note(`not renewed by k0s: ${old.join(', ')}`);
      await refreshRootKubeconfig(master, note);
    },
  };
}
