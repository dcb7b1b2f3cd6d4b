import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import type { PluginSpec } from '../spec/plugin-spec.js';
import type { HostPaths } from '../state/cluster-paths.js';

export interface EtcdBackup {
  readonly cluster: string;
  readonly plugin: PluginSpec;
  readonly note: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Saves what the cluster's etcd has into a file on a master, for root alone: where the plugin says, else beside the clusters in the data
 * root, where it outlives the cluster. @returns where it is, for people.
 * @throws SlipwayError E_UNSUPPORTED when the cluster has no etcd of its own.
 */
export async function saveEtcd(
  { saveEtcd: save, etcdFileType = '.db', name }: RuntimeDriver,
  master: Host,
  paths: HostPaths,
  { cluster, plugin, note, signal }: EtcdBackup,
): Promise<string> {
  if (save === undefined) throw noEtcd(plugin, name);
  const file =
    plugin.on ?? `${paths.backups}/${cluster}-${fileName(plugin.name)}-${timeStamp(new Date())}${etcdFileType}`;
  const directory = file.slice(0, file.lastIndexOf('/')) || '/';
  await master.run(`umask 077 && mkdir -p ${shellQuote(directory)}`, {
    title: 'making the directory of the snapshot',
    timeoutMs: 60_000,
    signal,
  });
  await save(master, { rootfs: paths.rootfs }, file, signal);
  note(`what etcd has is in ${file}`);
  return file;
}

/** Says that a cluster has no etcd that could be saved. */
export function noEtcd({ name, source }: PluginSpec, runtime: string): SlipwayError {
  return new SlipwayError(
    'E_UNSUPPORTED',
    `plugin ${name} (${source}): clusters of ${runtime} have no etcd of their own that is saved`,
    {
      hint: 'take the plugin out, or save what the cluster has with a SHELL plugin',
    },
  );
}

function fileName(name: string): string {
  return name.replaceAll(/[^\w.-]+/g, '_');
}

/** `2026-05-04T101200Z` */
function timeStamp(date: Date): string {
  return date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
}
