// What is said when k0s or k3s does not come up on a host: with its last words, and before the time is over where nothing will come any more.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readyPhase } from '../../../src/install/phases/ready.js';
import { waitForApiServer } from '../../../src/runtime/k0s/init.js';
import { joinWorkerStep } from '../../../src/runtime/k0s/join.js';
import { waitUntilRunning } from '../../../src/runtime/k0s/service.js';
import { SPENT_TOKEN } from '../../../src/runtime/k0s/tokens.js';
import { followStep } from '../../../src/runtime/k3s/follow.js';
import { waitForK3s } from '../../../src/runtime/k3s/health.js';
import { joinWorkerStep as joinK3sWorkerStep } from '../../../src/runtime/k3s/join.js';
import { unitProperty } from '../../../src/runtime/kubernetes/restarts.js';
import { stubHost } from '../../support/stub-host.js';
import { tempDirectory } from '../../support/temp.js';

const WORDS = 'level=fatal msg="unknown flag: --nonsense"';
/** A host whose service has ended so often. */
const host = (restarts: number) =>
  stubHost('10.0.0.3', (title) => {
    if (title.startsWith('reading the log')) return { stdout: `${WORDS}\n` };
    if (title.startsWith('asking systemd')) return { stdout: `${restarts}\n` };
    return { code: 1 };
  });

describe('k3s', () => {
  const wait = (restarts: number) =>
    waitForK3s(host(restarts), 'agent', async () => false, { what: '10.0.0.3 to join', timeoutMs: 1 });

  it('that ends again and again is given up, with its last words', async () => {
    await expect(wait(10)).rejects.toThrow(
      `host 10.0.0.3: k3s-agent.service ended 10 times while waiting for 10.0.0.3 to join\n${WORDS}`,
    );
  });

  it('that does not come in time is given up, with its last words', async () => {
    await expect(wait(9)).rejects.toThrow(`waited 0 s for 10.0.0.3 to join\n${WORDS}`);
  });
});

describe('k0s', () => {
  const running = (restarts: number) => waitUntilRunning(host(restarts), 'worker', 'v1.31.14+k0s.0', { timeoutMs: 1 });

  it('that ends again and again is given up, with its last words', async () => {
    const failing = stubHost('10.0.0.3', (title, script) => {
      if (script.includes('is-failed')) return { code: 1 };
      if (title.startsWith('reading the log')) return { stdout: WORDS };
      return title.startsWith('asking systemd') ? { stdout: '10' } : { code: 1 };
    });
    const waiting = waitUntilRunning(failing, 'worker', 'v1.31.14+k0s.0', { timeoutMs: 60_000 });
    await expect(waiting).rejects.toThrow(/k0sworker\.service ended 10 times while waiting for k0s .*\n.*--nonsense/);
    const server = waitForApiServer(failing, { timeoutMs: 60_000, signal: undefined });
    await expect(server).rejects.toThrow(/k0scontroller\.service ended 10 times while waiting for the API server/);
  });

  it('that systemd has given up is not waited for', async () => {
    const given = stubHost('10.0.0.3', (title, script) => {
      if (script.includes('is-failed')) return { code: 0 };
      return title.startsWith('reading the log') ? { stdout: WORDS } : { code: 1 };
    });
    const waiting = waitUntilRunning(given, 'worker', 'v1.31.14+k0s.0', { timeoutMs: 60_000 });
    await expect(waiting).rejects.toThrow(`10.0.0.3: k0s does not start as worker\n${WORDS}`);
  });

  it('that does not come in time is given up, with its last words', async () => {
    await expect(running(9)).rejects.toThrow(
      `waited 0 s for k0s v1.31.14+k0s.0 on 10.0.0.3 to run as worker\n${WORDS}`,
    );
  });
});

describe('a worker of k0s whose token the cluster does not take', () => {
  const version = 'v1.31.14+k0s.0';
  const REFUSAL = 'Error: failed to bootstrap kubelet client configuration: Unauthorized';
  let made = 0;
  const master = stubHost('10.0.0.2', (title) => {
    if (title.startsWith('k0s token create')) {
      made++;
      const user = { name: 'kubelet-bootstrap', user: { token: `abcde${made}.abcdefghijklmnop` } };
      const kubeconfig = { clusters: [{ cluster: { server: 'https://10.0.0.2:6443' } }], users: [user] };
      master.files.set('/run/slipway/k0s-token', gzipSync(JSON.stringify(kubeconfig)).toString('base64'));
    }
    return undefined;
  });
  const host = stubHost('10.0.0.3', (title) => {
    if (title === 'k0s version') return { stdout: `${version}\n` };
    if (title === 'k0s start') return { stdout: '1700000000\n' };
    return title.startsWith('reading the log') ? { stdout: REFUSAL } : undefined;
  });

  it('is given another one, then given up with the reason; no token of a cluster stays, and nothing tries on', async () => {
    const notes: string[] = [];
    const cluster = {
      name: 'boat',
      rootfs: '/r',
      version,
      masters: [master],
      configDocuments: [],
      workers: [host],
    } as never;
    await expect(joinWorkerStep(host, cluster).run((line) => notes.push(line))).rejects.toThrow(
      `10.0.0.3: the cluster did not take two join tokens, the second made anew\n${REFUSAL}`,
    );
    expect(notes.join()).toContain('a new one is made');
    expect(made).toBe(2);
    expect(master.asked.filter((title) => title === 'taking the join token back')).toHaveLength(2);
    expect(host.files.get('/etc/k0s/k0stoken')?.trim()).toBe(SPENT_TOKEN);
    expect(host.asked.at(-1)).toBe('k0s stop');
  });
});

it('a node that does not get Ready is named, with its condition and the last words of its service', async () => {
  const worker = stubHost('10.0.0.3', () => ({ stdout: `${WORDS}\n` }));
  const node = {
    name: 'n1',
    addresses: ['10.0.0.3'],
    ready: false,
    condition: 'KubeletNotReady: cni plugin not initialized',
  };
  const [step] = readyPhase.steps({
    hosts: [{ address: '10.0.0.3', host: worker, master: false }],
    entry: { host: worker },
    driver: { nodes: async () => [node], nodeUnit: () => 'k3s-agent.service' },
    cluster: { name: 'boat' },
    readyTimeoutMs: 1,
  } as never);
  const { signal } = new AbortController();
  const run = step?.run({ note: () => {}, signal, interrupt: signal, failedHosts: new Set() });
  await expect(run).rejects.toThrow(
    `the nodes of boat to be Ready\n  n1: KubeletNotReady: cni plugin not initialized\n    k3s-agent: ${WORDS}`,
  );
});

it('a k3s that an earlier attempt has left running, with another token, is started again with the right one', async () => {
  const token = (password: string): string => `K10${'a'.repeat(64)}::server:${password}`;
  const version = 'v1.30.4+k3s1';
  const worker = stubHost('10.0.0.3', (title, script) => {
    if (title === 'installing k3s') return { stdout: `k3s version ${version} (1)\n` };
    if (script.includes('ip route show default')) return { stdout: 'default via 10.0.0.254\n' };
    return title === 'looking for k3s on the host' ? { stdout: 'installed agent\nactive agent\n' } : undefined;
  });
  worker.files.set('/etc/rancher/k3s/config.yaml', `server: https://10.0.0.2:6443\ntoken: ${token('wrong')}\n`);
  const restarted = (): boolean => worker.asked.includes('systemctl restart k3s-agent.service');
  const node = {
    name: 'n1',
    addresses: ['10.0.0.3'],
    labels: {},
    taints: [],
    marks: '',
    conditions: [],
    unschedulable: false,
    version,
  };
  const master = stubHost('10.0.0.2', (title) =>
    title === 'kubectl get nodes' ? { stdout: restarted() ? `${JSON.stringify(node)}\n` : '' } : undefined,
  );
  master.files.set('/var/lib/rancher/k3s/server/node-token', `${token('right')}\n`);
  const context = { name: 'boat', rootfs: '/r', version, masters: [master], workers: [worker], certSANs: [] };
  await joinK3sWorkerStep(worker, { ...context, configDocuments: [], nodeTimeoutMs: 1 } as never).run(() => {});
  expect(worker.files.get('/etc/rancher/k3s/config.yaml')).toContain(token('right'));
  expect(restarted()).toBe(true);
});

describe('a systemd before 246', () => {
  it('is asked in words that it knows', async () => {
    const bin = join(tempDirectory('slipway-systemctl-'), 'bin');
    mkdirSync(bin);
    const old = `#!/bin/sh
case " $* " in *" -P "*) echo "systemctl: invalid option -- 'P'" >&2; exit 1 ;; esac
echo NRestarts=12
`;
    writeFileSync(join(bin, 'systemctl'), old, { mode: 0o755 });
    const script = unitProperty('k3s.service', 'NRestarts');
    const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    expect(execFileSync('sh', ['-c', script], { env, encoding: 'utf8' })).toBe('12\n');
  });

  it('says when k3s was started: settings that are newer are seen', async () => {
    const scripts: string[] = [];
    const host = stubHost('10.0.0.2', (_title, script) => {
      scripts.push(script);
      return { code: 1 };
    });
    host.files.set('/etc/rancher/k3s/config.yaml', 'node-ip: 10.0.0.2\n');
    const cluster = {
      name: 'c',
      version: 'v1.30.4+k3s1',
      masters: [host],
      workers: [],
      certSANs: [],
      configDocuments: [],
    };
    const step = followStep(host, cluster as unknown as Parameters<typeof followStep>[1]);
    await step.run(() => {});
    expect(scripts.join('\n')).toContain(unitProperty('k3s.service', 'ExecMainStartTimestamp'));
  });
});
