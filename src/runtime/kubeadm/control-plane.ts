import { isIPv6 } from 'node:net';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { onHost } from '../kubernetes/ask.js';
import { waitFor } from '../wait.js';
import { API_SERVER_PORT } from './config.js';
import { apiServerReady, kubeletLog } from './health.js';
import { PATHS } from './paths.js';

/** What kubelet runs on a master from manifests, in the order in which they need each other. */
export const COMPONENTS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'] as const;
export type Component = (typeof COMPONENTS)[number];

const UP_TIMEOUT_MS = 240_000;

/**
 * Prints `PID START` of the component's process. It is one of kubelet's that shares the host's network, as only the host's own
 * control plane does: control planes of others that run in pods are not it.
 */
const findScript = (component: Component): string => `for d in /proc/[0-9]*; do
  [ "$(readlink "$d/ns/net" 2>/dev/null)" = "$(readlink /proc/1/ns/net)" ] || continue
  program=$(tr '\\0' '\\n' <"$d/cmdline" 2>/dev/null | head -n 1)
  [ "\${program##*/}" = ${component} ] && grep -q kubepods "$d/cgroup" 2>/dev/null || continue
  echo "\${d#/proc/} $(sed 's/.*) //' "$d/stat" | cut -d ' ' -f 20)"
done
true`;

/** Whether this master has the component: etcd may run elsewhere. */
export function hasComponent(master: Host, component: Component): Promise<boolean> {
  return master.exists(`${PATHS.manifests}/${component}.yaml`);
}

/** A process, told apart from a later one of the same number. */
export interface ComponentProcess {
  readonly pid: number;
  readonly start: string;
}

/**
 * Sees that another process of a component runs than `before`, with the files as they are now. Its process is ended, as its container runtime
 * would, and kubelet starts it again: that works with every container runtime, and when no API server answers. One that ended by itself
 * meanwhile, as controllers do whose API server is away, is not ended once more: kubelet would let it wait.
 */
export async function restartComponent(
  master: Host,
  rootfs: string,
  component: Component,
  before: ComponentProcess | undefined,
  signal?: AbortSignal,
): Promise<void> {
  await requireKubelet(master);
  const running = await processOf(master, component);
  if (running === undefined || isSame(running, before)) {
    await onHost(
      master,
      rootfs,
      running === undefined
        ? // It fails and waits, longer each time: kubelet forgets how long when it begins anew.
          'systemctl restart kubelet.service'
        : `kill ${running.pid} 2>/dev/null
for i in $(seq 60); do [ -d /proc/${running.pid} ] || exit 0; sleep 0.5; done
kill -9 ${running.pid} 2>/dev/null
true`,
      { signal, timeoutMs: 90_000, title: `restarting ${component}` },
    );
  }
  await waitFor(
    async () => {
      const now = await processOf(master, component);
      const other = now !== undefined && !isSame(now, before);
      return other && (await isUp(master, rootfs, component)) ? true : undefined;
    },
    {
      what: `${component} on ${master.address} to be up again`,
      timeoutMs: UP_TIMEOUT_MS,
      signal,
      explain: () => kubeletLog(master),
      hint: `look at /var/log/pods/kube-system_${component}* and "journalctl -u kubelet" on ${master.address}; no other host is touched until it is mended`,
    },
  );
}

/**
 * Whether the API server of a master shows exactly the certificate that is in its file: taken for a CA, that alone is trusted (which holds
 * for no other certificate, since it signs none). Whoever it lets in does not matter.
 */
export async function servesItsCertificate(master: Host, rootfs: string): Promise<boolean> {
  const { code, stderr } = await pinned(master, rootfs, {
    server: `https://${bracketed(master.address)}:${API_SERVER_PORT}`,
    certificate: `${PATHS.pki}/apiserver.crt`,
    path: '/version',
  });
  if (code === 0) return true;
  // An answer of any kind came through the connection that was verified.
  return /Unauthorized|Forbidden|forbidden|provide credentials/.test(stderr);
}

/** A component that cannot be started again must not be ended. */
async function requireKubelet(master: Host): Promise<void> {
  const { code } = await master.run('systemctl is-active -q kubelet.service', {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking whether kubelet runs',
  });
  if (code === 0) return;
  throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: kubelet does not run, and would start nothing again`, {
    hint: `"journalctl -u kubelet" on ${master.address} says why; start it, then run the same command again`,
  });
}

function isSame(one: ComponentProcess, other: ComponentProcess | undefined): boolean {
  return one.pid === other?.pid && one.start === other.start;
}

/** The process of a component; undefined when it does not run at the moment. */
export async function processOf(master: Host, component: Component): Promise<ComponentProcess | undefined> {
  const { stdout } = await master.run(findScript(component), {
    title: `looking for the process of ${component}`,
    timeoutMs: 30_000,
  });
  const [pid, start = ''] = stdout.trim().split('\n').at(-1)?.split(' ') ?? [];
  return pid === undefined || pid === '' ? undefined : { pid: Number(pid), start };
}

async function isUp(master: Host, rootfs: string, component: Component): Promise<boolean> {
  switch (component) {
    case 'kube-apiserver':
      return (await servesItsCertificate(master, rootfs)) && (await apiServerReady(master, rootfs));
    case 'etcd': {
      // It says so only when it has a leader, and shows its own new certificate.
      const { code, stdout } = await pinned(master, rootfs, {
        server: 'https://127.0.0.1:2379',
        certificate: `${PATHS.pki}/etcd/server.crt`,
        client: `${PATHS.pki}/etcd/healthcheck-client`,
        path: '/health',
      });
      return code === 0 && /"health": *"?true/.test(stdout);
    }
    case 'kube-controller-manager':
      return listens(master, component, 10257);
    case 'kube-scheduler':
      return listens(master, component, 10259);
  }
}

async function listens(master: Host, component: Component, usual: number): Promise<boolean> {
  const { code } = await master.run(
    `port=$(sed -n 's/^ *- --secure-port=\\([1-9][0-9]*\\)$/\\1/p' ${PATHS.manifests}/${component}.yaml)
bash -c "exec 3<>/dev/tcp/127.0.0.1/\${port:-${usual}}" 2>/dev/null`,
    { allowFailure: true, timeoutMs: 30_000, title: `looking whether ${component} listens` },
  );
  return code === 0;
}

interface Pin {
  readonly server: string;
  /** A file with the certificate that alone is trusted. */
  readonly certificate: string;
  /** Files of a client's certificate and key, without their endings. */
  readonly client?: string;
  readonly path: string;
}

/** kubectl asks, which is on every host, where curl and openssl may be missing. */
function pinned(master: Host, rootfs: string, { server, certificate, client, path }: Pin) {
  const login =
    client === undefined ? ['--token=none'] : [`--client-certificate=${client}.crt`, `--client-key=${client}.key`];
  const command = [
    ...['kubectl', '--kubeconfig=/dev/null', `--server=${server}`, `--certificate-authority=${certificate}`, ...login],
    ...['--request-timeout=10s', 'get', `--raw=${path}`],
  ];
  return onHost(master, rootfs, `NO_PROXY='*' ${command.map(shellQuote).join(' ')} </dev/null`, {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking at the certificate that is served',
  });
}

function bracketed(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
