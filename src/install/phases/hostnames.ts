import { shellQuote } from '../../hosts/shell-script.js';
import { wantedHostnames } from '../hooks/plugin-marks.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork } from '../work.js';

/** Gives hosts the names that HOSTNAME plugins have for them, before they become nodes; the name of a node cannot be changed. */
export const hostnamesPhase: Phase<InstallWork> = {
  name: 'hostnames',
  title: 'Name the hosts',
  steps: ({ hosts, setups, plugins }) => {
    const names = wantedHostnames(plugins);
    return hosts
      .filter(({ address }) => !setups.has(address))
      .flatMap(({ address, host }) => {
        const name = names.get(address);
        if (name === undefined) return [];
        return [
          {
            id: stepId('hostname', address),
            host: address,
            title: `call the host ${name}`,
            why: 'a HOSTNAME plugin',
            inputs: inputsDigest('hostname', name),
            proof: 'check' as const,
            check: async () => {
              const { stdout } = await host.run('hostname; cat /etc/hostname', {
                title: 'looking at the hostname',
                allowFailure: true,
                timeoutMs: 30_000,
              });
              return { holds: stdout === `${name}\n${name}\n` };
            },
            run: async () => {
              await host.run(setHostnameScript(name), { title: `setting the hostname ${name}`, timeoutMs: 60_000 });
              return undefined;
            },
          },
        ];
      });
  },
};

/** hostnamectl tells everyone; where its service cannot be started, the file and the kernel are what it would change. */
function setHostnameScript(name: string): string {
  const quoted = shellQuote(name);
  return `hostnamectl set-hostname ${quoted} 2>/dev/null || { echo ${quoted} >/etc/hostname && hostname ${quoted}; } || exit 1
[ "$(hostname)" = ${quoted} ]`;
}
