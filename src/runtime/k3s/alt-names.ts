import { parse, parseDocument } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { DriverStep } from '../driver.js';
import { isObject } from '../kubernetes/merge.js';
import { namesNotServed } from '../kubernetes/served-names.js';
import { configText, isOurs } from './config.js';
import { listOf } from './documents.js';
import { PATHS, UNITS } from './paths.js';
import { restartServer } from './restart.js';

/**
 * Adds names to the certificates of a master: to `tls-san` of its settings, which k3s reads when it starts. What else the settings say stays.
 * Source: k3s, pkg/daemons/control/deps (serving-kube-apiserver), pkg/cluster/https.go (what is shown at 6443).
 */
export function addNamesStep(master: Host, names: readonly string[]): DriverStep {
  const notServed = () =>
    namesNotServed(master, names, { kubectl: [PATHS.binary, 'kubectl'], ca: `${PATHS.tls}/server-ca.crt` });
  return {
    title: `certificate of the API server for ${names.join(', ')}`,
    async done() {
      // The settings first: some versions take up every name that they are asked by.
      return withTlsSans(await readConfig(master), names) === undefined && (await notServed()).length === 0;
    },
    async run(_note, signal) {
      await refuseFlags(master);
      const changed = withTlsSans(await readConfig(master), names);
      if (changed !== undefined) await master.writeFile(PATHS.config, changed, { mode: 0o600 });
      if (changed !== undefined || (await notServed()).length > 0) await restartServer(master, signal);
      const missing = await notServed();
      if (missing.length === 0) return;
      throw new SlipwayError(
        'E_CLUSTER_STATE',
        `${master.address}: k3s was started again, and its API server is not known by ${missing.join(', ')}`,
        { hint: `look at "journalctl -u ${UNITS.server}" on ${master.address}` },
      );
    },
  };
}

/** A `config.yaml` with these names; undefined when it has them. Pure. @throws SlipwayError E_CLUSTER_STATE when it is none */
export function withTlsSans(text: string, names: readonly string[]): string | undefined {
  const document = parseDocument(text);
  const settings: unknown = document.errors.length > 0 ? undefined : (parse(text) ?? {});
  if (!isObject(settings)) throw new SlipwayError('E_CLUSTER_STATE', `${PATHS.config} has no settings of k3s`);
  const has = listOf(settings['tls-san']);
  if (names.every((name) => has.includes(name))) return undefined;
  const all = [...new Set([...has, ...names])].sort();
  if (isOurs(text)) return configText({ ...settings, 'tls-san': all });
  document.set('tls-san', document.createNode(all));
  return document.toString({ lineWidth: 0 });
}

/** A host that was set up by somebody else need not have the file. */
async function readConfig(master: Host): Promise<string> {
  return (await master.readFile(PATHS.config))?.toString('utf8') ?? '';
}

/** A flag wins over the file, with all its values. */
async function refuseFlags(master: Host): Promise<void> {
  const { code } = await master.run(`systemctl cat ${UNITS.server} 2>/dev/null | grep -q -- --tls-san`, {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking at the service of k3s',
  });
  if (code !== 0) return;
  throw new SlipwayError('E_UNSUPPORTED', `${master.address}: ${UNITS.server} gives --tls-san as a flag`, {
    hint: `a flag hides what ${PATHS.config} says: move its names there (tls-san), then run the same command again`,
  });
}
