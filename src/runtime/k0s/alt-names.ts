import { isSeq, parseDocument } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { namesNotServed } from '../kubernetes/served-names.js';
import { documentedSans } from './config.js';
import { PATHS } from './paths.js';
import { replaceConfig } from './prepare.js';
import { restartController } from './restart.js';

const SANS = ['spec', 'api', 'sans'];

/**
 * Adds names to the certificate of a master's API server: to `spec.api.sans` of its configuration, which k0s makes it from when it starts.
 * Everything else that the configuration says stays.
 */
export function addNamesStep(master: Host, names: readonly string[]): DriverStep {
  const notServed = () =>
    namesNotServed(master, names, { kubectl: [PATHS.binary, 'kubectl'], ca: `${PATHS.pki}/ca.crt` });
  return {
    title: `certificate of the API server for ${names.join(', ')}`,
    async done() {
      return withSans(await readConfig(master), names) === undefined && (await notServed()).length === 0;
    },
    async run(_note, signal) {
      const changed = withSans(await readConfig(master), names);
      if (changed !== undefined) await replaceConfig(master, changed, signal);
      if ((await notServed()).length > 0) await restartController(master, signal);
      const missing = await notServed();
      if (missing.length === 0) return;
      throw new SlipwayError(
        'E_CLUSTER_STATE',
        `${master.address}: k0s was started again, and its API server is not known by ${missing.join(', ')}`,
        {
          hint: `see whether the service names another configuration than ${PATHS.config}: systemctl cat k0scontroller`,
        },
      );
    },
  };
}

/** The names that documents want in the API servers' certificates, and others that are given: a controller that runs hears of them so. */
export function wantedNames({ configDocuments, certSANs }: ClusterContext): readonly string[] {
  return [...new Set([...certSANs, ...documentedSans(configDocuments)])];
}

/** The configuration of a controller with these names; undefined when it has them. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function withSans(text: string, names: readonly string[]): string | undefined {
  const document = parseDocument(text);
  const list: unknown = document.errors.length === 0 ? document.getIn(SANS) : undefined;
  if (document.errors.length > 0 || (list !== undefined && list !== null && !isSeq(list))) {
    throw new SlipwayError('E_CLUSTER_STATE', `${PATHS.config} is no ClusterConfig that names could be added to`);
  }
  const has: readonly string[] = isSeq(list) ? (list.toJSON() as unknown[]).map(String) : [];
  const more = names.filter((name) => !has.includes(name));
  if (more.length === 0) return undefined;
  document.setIn(SANS, [...has, ...more]);
  return document.toString({ lineWidth: 0 });
}

async function readConfig(master: Host): Promise<string> {
  const text = (await master.readFile(PATHS.config))?.toString('utf8');
  if (text !== undefined) return text;
  throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: ${PATHS.config} is missing`, {
    hint: 'k0s runs there without a configuration of its own: write one with "k0s config create", and name it in the service with "k0s install controller --config"',
  });
}
