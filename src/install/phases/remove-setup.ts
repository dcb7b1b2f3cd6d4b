import { shellQuote } from '../../hosts/shell-script.js';
import { setHostsBlock } from '../../runtime/etc-hosts.js';
import { CLEAN_SCRIPTS } from '../files/script-names.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { CONTAINERD_CERTS, MIRROR_MARK } from '../registry/registry-mirrors.js';
import { endWay } from '../registry/registry-way.js';
import { WAY } from '../registry/way-script.js';
import type { ResetWork } from '../reset-work.js';
import { programPath } from '../work.js';
import { ALIASES_HOSTS_BLOCK } from './aliases.js';

const TIMEOUT_MS = 10 * 60_000;

/** Undoes what set the hosts up: mirrors, the registry's name, and by the image's own scripts all that these installed. */
export const removeSetupPhase: Phase<ResetWork> = {
  name: 'remove-setup',
  title: 'Undo the set-up of the hosts',
  steps: ({ hosts, paths, registry, cluster }) =>
    hosts.map(({ address, host, env }) => ({
      id: stepId('remove-setup', address),
      host: address,
      title: 'remove programs, services and settings',
      why: `a host of ${cluster}`,
      inputs: inputsDigest('remove-setup', address),
      proof: 'check',
      // Whether the image's scripts have anything left to undo, only they know: they are asked each time.
      check: async () => ({ holds: !(await host.exists(paths.rootfs)) && !(await host.exists(CONTAINERD_CERTS)) }),
      run: async ({ signal }) => {
        await host.run(removeMirrorsScript(`${registry.domain}:${registry.port}`), {
          title: 'removing mirrors and trust',
          signal,
          timeoutMs: 60_000,
        });
        await endWay(host);
        await setHostsBlock(host, WAY.block, []);
        await setHostsBlock(host, ALIASES_HOSTS_BLOCK, []);
        await host.run(`${programPath(paths.rootfs)}${cleanScript(paths.rootfs)}`, {
          title: 'running the clean scripts of the image',
          env,
          signal,
          timeoutMs: TIMEOUT_MS,
        });
        return undefined;
      },
    })),
};

/**
 * Settings of registries are ours when they say so; a CA beside them when they name it. That of the cluster's own registry is ours in any case,
 * and one that the cluster had before is found so as well.
 */
function removeMirrorsScript(own: string): string {
  return `for f in ${CONTAINERD_CERTS}/*/hosts.toml; do
  [ -f "$f" ] && [ "$(head -n 1 "$f")" = ${shellQuote(MIRROR_MARK)} ] || continue
  ca="\${f%/*}/ca.crt"
  if grep -qF "ca = \\"$ca\\"" "$f"; then rm -f "$ca"; fi
  rm -f "$f"
  rmdir "\${f%/*}" 2>/dev/null
done
rm -f ${shellQuote(`${CONTAINERD_CERTS}/${own}/ca.crt`)}
rmdir ${shellQuote(`${CONTAINERD_CERTS}/${own}`)} 2>/dev/null
true`;
}

function cleanScript(rootfs: string): string {
  return `cd ${shellQuote(`${rootfs}/scripts`)} 2>/dev/null || exit 0
for script in ${CLEAN_SCRIPTS.join(' ')}; do
  [ ! -f "$script" ] || bash "$script" || exit $?
done`;
}
