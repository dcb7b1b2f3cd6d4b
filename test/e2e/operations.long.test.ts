// Everyday operations on a cluster of several masters: it grows, a master dies and another one takes over, hosts are taken out, and what
// would cost etcd its quorum is refused.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`operations: left out: ${lab.why}`);

const home = tempDirectory('slipway-operations-');
const root = join(home, 'store');
const IMAGE = 'plant:v1';
const SERVICE = 'slipway-apiserver.service';
const before = new Map<string, string>();
let m1: LabHost;
let m2: LabHost;
let m3: LabHost;
let n1: LabHost;
let n2: LabHost;

const ips = (...hosts: readonly LabHost[]): string => hosts.map(({ ip }) => ip).join(',');
const login = (): string[] => ['-i', m1.keyFile, '--host-key-check=off'];
const kubectl = (master: LabHost, command: string): Promise<string> =>
  master.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);
const members = async (master: LabHost): Promise<readonly string[]> => {
  const list = await kubectl(
    master,
    `-n kube-system exec etcd-${master.name} -- etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt --key=/etc/kubernetes/pki/etcd/server.key member list`,
  );
  return [...list.matchAll(/https:\/\/([\d.]+):2380/g)].map(([, address = '']) => address).sort();
};
const apiServerOf = async (host: LabHost): Promise<string> =>
  (
    await host.run("iptables -t nat -S SLIPWAY-APISERVER | sed -n 's/.*--to-destination \\([0-9.]*\\):.*/\\1/p'")
  ).trim();
const clusterfile = (masters: readonly LabHost[], nodes: readonly LabHost[]): string => {
  const file = join(home, 'Clusterfile');
  writeFileSync(
    file,
    `apiVersion: slipway/v1
kind: Cluster
metadata: { name: plant }
spec:
  image: ${IMAGE}
  ssh: { pk: ${m1.keyFile} }
  hosts:
    - { ips: [${ips(...masters)}], roles: [master] }
    - { ips: [${ips(...nodes)}], roles: [node] }
`,
  );
  return file;
};

describe.skipIf(!lab.ok).sequential('a cluster with several masters', () => {
  beforeAll(async () => {
    m1 = await startLabHost('ops-m1', '10.99.0.70');
    m2 = await startLabHost('ops-m2', '10.99.0.71');
    m3 = await startLabHost('ops-m3', '10.99.0.72');
    n1 = await startLabHost('ops-n1', '10.99.0.73');
    n2 = await startLabHost('ops-n2', '10.99.0.74');
    for (const host of [m1, m2, m3, n1, n2]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, IMAGE);
  });

  afterAll(stopLabHosts);

  it('grows from one master and one worker to three and two', async () => {
    await mustSlipway(['run', IMAGE, '--cluster', 'plant', '--masters', m1.ip, '--nodes', n1.ip, ...login()], { root });
    expect(await apiServerOf(n1)).toBe(m1.ip);
    const join_ = ['join', '--masters', ips(m2, m3), '--nodes', n2.ip, '--host-key-check=off'];
    const plan = JSON.parse(await mustSlipway([...join_, '--dry-run', '--json'], { root })) as {
      steps: { id: string; state: string }[];
    };
    const open = plan.steps.filter(({ state }) => state !== 'done').map(({ id }) => id);
    expect(open).toEqual(
      expect.arrayContaining([`join@${m2.ip}`, `join@${m3.ip}`, `join@${n2.ip}`, `follow@${n1.ip}`]),
    );
    expect(open.filter((id) => id.endsWith(m1.ip))).toEqual([`follow@${m1.ip}`]);
    const grown = await mustSlipway(join_, { root });
    expect(grown.match(/ Ready\b/g)).toHaveLength(5);
    expect(await members(m1)).toEqual([m1.ip, m2.ip, m3.ip]);
    // each master asks itself, and the workers are spread
    for (const master of [m1, m2, m3]) expect(await apiServerOf(master)).toBe(master.ip);
    expect(new Set([await apiServerOf(n1), await apiServerOf(n2)]).size).toBe(2);
    expect(await mustSlipway(join_, { root })).toContain(': 0 steps done');
  });

  it('goes on when a master dies: every worker finds another one, also for what runs already', async () => {
    await m1.kill();
    for (const worker of [n1, n2]) await until(async () => (await apiServerOf(worker)) !== m1.ip);
    await until(async () => /ops-m1\s+NotReady/.test(await kubectl(m2, 'get nodes')));
    // a new pod on a worker: kubelet and kube-proxy talk to the masters that are left
    await kubectl(m2, `run after --image=k8s.gcr.io/pause:3.2 --overrides='{"spec":{"nodeName":"${n1.name}"}}'`);
    await until(async () => (await kubectl(m2, 'get pod after -o jsonpath={.status.phase}')) === 'Running');
    expect(await kubectl(m2, 'get nodes')).toMatch(/ops-n1\s+Ready[\s\S]*ops-n2\s+Ready/);
  });

  it('does not give up the registry, the last master or the quorum of etcd', async () => {
    const refuse = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await slipway(['delete', '--force', ...args, '--host-key-check=off'], { root });
      expect(code).not.toBe(0);
      return stderr;
    };
    expect(await refuse('--masters', m1.ip)).toContain(`${m1.ip} serves the registry of cluster plant`);
    expect(await refuse('--masters', ips(m1, m2, m3))).toContain('no master of cluster plant would be left');
    expect(await refuse('--masters', m2.ip)).toMatch(
      new RegExp(`nothing was changed: without ${m2.ip} only 1 of 2 members of etcd would be up, and 2 must be`),
    );
    expect(await refuse('--nodes', m2.ip)).toContain(`${m2.ip} is a master of plant`);
    expect(await refuse('--nodes', '10.99.0.79')).toContain('10.99.0.79: no host of cluster plant');
    expect(await members(m2)).toEqual([m1.ip, m2.ip, m3.ip]);
  });

  it('gives up a dead master as its Clusterfile says, and another one serves the registry', async () => {
    const file = clusterfile([m2, m3], [n1, n2]);
    const { code, stderr } = await slipway(['apply', '-f', file, '--host-key-check=off'], { root });
    expect(code).toBe(2);
    expect(stderr).toContain(`${m1.ip} leaves cluster plant`);
    const applied = await slipway(['apply', '-f', file, '--force', '--host-key-check=off'], { root });
    expect(applied.code, applied.stderr).toBe(1);
    expect(applied.stdout.match(/ Ready\b/g)).toHaveLength(4);
    expect(applied.stderr).toContain(`out of cluster plant, but not clean, for they do not answer: ${m1.ip}`);
    expect(await members(m2)).toEqual([m2.ip, m3.ip]);
    expect(await n1.run('getent hosts sea.hub')).toContain(m2.ip);
    // a worker pulls from the other one
    await n1.run('ctr -n k8s.io images rm docker.io/library/web:1.0 >/dev/null; crictl pull docker.io/library/web:1.0');
    // when it is back it is cleaned
    await m1.boot();
    await mustSlipway(['delete', '--masters', m1.ip, '--force', '--host-key-check=off'], { root });
    expect(await m1.run(HOST_SNAPSHOT)).toBe(before.get(m1.name));
  });

  it('lets a live worker go: drained first, as far as disruption budgets allow, and clean', async () => {
    await kubectl(m2, `create deployment guarded --image=k8s.gcr.io/pause:3.2`);
    await kubectl(m2, `create pdb guarded --selector=app=guarded --min-available=1`);
    await kubectl(m2, 'cordon ops-n1');
    await kubectl(m2, 'rollout restart deployment guarded');
    await kubectl(m2, 'rollout status deployment guarded');
    const out = (...more: string[]): string[] => [
      'delete',
      '--nodes',
      n2.ip,
      '--force',
      ...more,
      '--host-key-check=off',
    ];
    const stuck = await slipway(out('--drain-timeout', '5'), { root });
    expect(stuck.code).toBe(1);
    expect(stuck.stderr).toContain('node ops-n2 could not be drained within 5 s');
    expect(await kubectl(m2, 'get nodes')).toContain('ops-n2');
    await kubectl(m2, 'uncordon ops-n1');
    await kubectl(m2, 'scale deployment guarded --replicas=2');
    await kubectl(m2, 'rollout status deployment guarded');
    await mustSlipway(out(), { root });
    expect(await kubectl(m2, 'get nodes')).not.toContain('ops-n2');
    expect(await kubectl(m2, 'get pods -o wide')).toMatch(/guarded\S+\s+1\/1\s+Running.*ops-n1/);
    expect(await n2.run(HOST_SNAPSHOT)).toBe(before.get(n2.name));
  });

  it('lets a live master go, and nothing of the cluster is left anywhere at its end', async () => {
    await mustSlipway(['join', '--masters', m1.ip, ...login()], { root });
    expect(await members(m2)).toEqual([m1.ip, m2.ip, m3.ip]);
    await mustSlipway(['delete', '--masters', m3.ip, '--force', '--host-key-check=off'], { root });
    expect(await members(m2)).toEqual([m1.ip, m2.ip]);
    expect(await n1.run('cat /etc/slipway/apiservers')).toBe(`10.103.97.2 6443\n${m1.ip}\n${m2.ip}\n`);
    expect(await n1.run(`systemctl is-active ${SERVICE}`)).toContain('active');
    await mustSlipway(['reset', '--cluster', 'plant', '--force', '--host-key-check=off'], { root });
    for (const host of [m1, m2, m3, n1]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
  });
});
