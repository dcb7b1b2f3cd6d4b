import type { WantedEntry } from './rootfs.js';

/** A script of a rootfs with its arguments: `bash NAME ARG…` in `<rootfs>/scripts`. */
export interface ScriptCall {
  readonly name: string;
  readonly args: readonly string[];
}

/** Where containerd keeps images and containers: what sealer's scripts call the storage. */
const STORAGE = '/var/lib/containerd';

/**
 * How an image is asked to set a host up: `init.sh STORAGE DOMAIN PORT` (sealer up to 0.8), or the container runtime's script and
 * `init-kube.sh` (since 0.9). Both get the variables of the host in their environment.
 */
export function setupScripts(
  entries: readonly WantedEntry[],
  {
    containerRuntime,
    domain,
    port,
  }: { readonly containerRuntime: string; readonly domain: string; readonly port: number },
): readonly ScriptCall[] {
  const args = [STORAGE, domain, String(port)];
  if (hasScript(entries, 'init.sh')) return [{ name: 'init.sh', args }];
  return [`${containerRuntime}.sh`, 'init-kube.sh']
    .filter((name) => hasScript(entries, name))
    .map((name) => ({ name, args }));
}

/** The script that starts the registry; undefined when the image has none, or no images to serve. */
export function registryScript(
  entries: readonly WantedEntry[],
  { rootfs, domain, port }: { readonly rootfs: string; readonly domain: string; readonly port: number },
): ScriptCall | undefined {
  if (!hasScript(entries, 'init-registry.sh') || !entries.some(({ path }) => path === 'registry')) return undefined;
  return { name: 'init-registry.sh', args: [String(port), `${rootfs}/registry`, domain] };
}

/** Scripts that undo what {@link setupScripts} did, whichever of them a host has, in this order. */
export const CLEAN_SCRIPTS = [
  'clean.sh',
  'uninstall-kube.sh',
  'uninstall-containerd.sh',
  'uninstall-docker.sh',
] as const;

function hasScript(entries: readonly WantedEntry[], name: string): boolean {
  return entries.some(({ path, type }) => type === 'file' && path === `scripts/${name}`);
}
