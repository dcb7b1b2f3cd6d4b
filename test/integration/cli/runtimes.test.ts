// Images of one runtime and clusters of another, and images that nothing can be installed from: told before any host is touched, whether or not
// one answers (these do not).
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { putClusterState } from '../../support/cluster-state.js';
import { type Ended, mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory('slipway-runtimes-');
const root = join(home, 'store');
/** Nobody has these. */
const [master, node] = ['192.0.2.10', '192.0.2.11'];
const run = (...args: string[]): Promise<Ended> => slipway(args, { root });

async function build(name: string, metadata: object): Promise<void> {
  const context = join(home, name.replace(':', '-'));
  mkdirSync(join(context, 'rootfs/bin'), { recursive: true });
  writeFileSync(join(context, 'rootfs/Metadata'), JSON.stringify(metadata));
  for (const program of ['k0s', 'k3s', 'kubeadm', 'kubelet', 'kubectl']) {
    writeFileSync(join(context, 'rootfs/bin', program), '', { mode: 0o755 });
  }
  writeFileSync(join(context, 'Kubefile'), 'FROM scratch\nCOPY rootfs/* .\n');
  await mustSlipway(['build', '-t', name, context], { root });
}

beforeAll(async () => {
  await build('kubeadm:v1', { version: 'v1.30.4' });
  await build('k0s:v1', { version: 'v1.31.14+k0s.0', ClusterRuntime: 'k0s' });
  await build('k3s:v1', { version: 'v1.30.4+k3s1', ClusterRuntime: 'k3s' });
  await build('k0s:old', { version: 'v1.22.17+k0s.0', ClusterRuntime: 'k0s' });
  const hosts = { [master]: 'master', [node]: 'node' };
  await putClusterState(root, 'of-k8s', hosts);
  await putClusterState(root, 'of-k3s', hosts, { runtime: 'k3s', version: 'v1.30.4+k3s1' });
  await putClusterState(root, 'of-k0s', hosts, { runtime: 'k0s', version: 'v1.31.14+k0s.0' });
});

it.each([
  ['of-k8s', 'kubeadm', 'k3s:v1', 'k3s'],
  ['of-k8s', 'kubeadm', 'k0s:v1', 'k0s'],
  ['of-k3s', 'k3s', 'kubeadm:v1', 'kubeadm'],
  ['of-k3s', 'k3s', 'k0s:v1', 'k0s'],
  ['of-k0s', 'k0s', 'k3s:v1', 'k3s'],
])('cluster %s (%s) does not take %s, by whatever command', async (cluster, is, image, other) => {
  const clusterfile = join(home, `${cluster}.yaml`);
  writeFileSync(
    clusterfile,
    `apiVersion: slipway/v1
kind: Cluster
metadata: { name: ${cluster} }
spec: { image: "${image}", hosts: [{ ips: [${master}], roles: [master] }, { ips: [${node}], roles: [node] }] }
`,
  );
  const state = (): string => readFileSync(join(root, 'data', cluster, 'cluster.json'), 'utf8');
  const before = state();
  for (const command of [
    ['run', image, '--cluster', cluster, '--masters', master, '--nodes', node],
    ['apply', '-f', clusterfile],
    ['plan', '-f', clusterfile],
    ['upgrade', image, '--cluster', cluster],
  ]) {
    const { code, stderr } = await run(...command);
    expect(code, command[0]).toBe(1);
    expect(stderr, command[0]).toContain(
      `cluster ${cluster} is one of ${is}, and ${image} installs ${other}: the one cannot become the other`,
    );
    // its hosts were not even asked
    expect(stderr, command[0]).not.toContain(master);
  }
  expect(state()).toBe(before);
});

it('a k0s that lacks commands is told with its version, beside what is wrong with the hosts', async () => {
  for (const more of [[], ['--dry-run']]) {
    const { code, stdout, stderr } = await run('run', 'k0s:old', '--masters', master, ...more, '-p', 'x');
    expect(code).toBe(1);
    const said = stdout + stderr;
    expect(said).toContain('k0s:old: k0s v1.22.17+k0s.0 is older than v1.23.0, the oldest that can be installed');
    expect(said).toContain('it has no "k0s config create" and "k0s config validate"; build an image with a later one');
  }
});

it('documents of another runtime are refused, and a plan leaves nothing of a cluster that nobody has begun', async () => {
  const file = join(home, 'fresh.yaml');
  const clusterfile = (image: string, more = ''): void =>
    writeFileSync(
      file,
      `apiVersion: slipway/v1
kind: Cluster
metadata: { name: fresh }
spec: { image: "${image}", hosts: [{ ips: [${master}], roles: [master] }] }
${more}`,
    );
  const k0s = '---\napiVersion: k0s.k0sproject.io/v1beta1\nkind: ClusterConfig\nspec: { api: { sans: [a] } }\n';
  clusterfile('kubeadm:v1', k0s);
  expect((await run('plan', '-f', file)).stderr).toContain(
    'a document ClusterConfig says nothing to kubeadm:v1, which installs kubeadm',
  );
  expect(existsSync(join(root, 'data/fresh'))).toBe(false);
  clusterfile('k0s:v1', k0s);
  const { code, stdout } = await run('plan', '-f', file, '-p', 'x');
  expect(code).toBe(1);
  expect(stdout).toContain(`problem: host ${master}: cannot be reached`);
  expect(stdout).toContain(`write ${join(root, 'data/fresh/admin.kubeconfig')}`);
  expect(existsSync(join(root, 'data/fresh'))).toBe(false);
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
});

it('plan -f takes hosts out that the Clusterfile does not have, as apply does', async () => {
  const file = join(home, 'less.yaml');
  writeFileSync(
    file,
    `apiVersion: slipway/v1
kind: Cluster
metadata: { name: of-k8s }
spec: { image: "kubeadm:v1", hosts: [{ ips: [${master}], roles: [master] }] }
`,
  );
  const { stdout, stderr } = await run('plan', '-f', file, '-p', 'x');
  expect(stderr).not.toContain('has more hosts');
  expect(stdout).toContain(`+ ${node}      take it out of the cluster`);
});

it('an image of a runtime that nobody knows is not built, and the known ones are named', async () => {
  await expect(build('boat:v1', { version: 'v1.30.0', ClusterRuntime: 'k4s' })).rejects.toThrow(
    /ClusterRuntime is "k4s", which is unknown[\s\S]*ClusterRuntime is one of k8s, k0s, k3s/,
  );
});
