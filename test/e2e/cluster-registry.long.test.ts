// The registry of a cluster on real hosts: on every master, one of which ends; images that are pushed later; other passwords and certificates
// while pulls go on; a master that leaves; and at last a registry outside of the cluster.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { makeAuthority } from '../integration/registry/support/x509.js';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`cluster-registry: left out: ${lab.why}`);

const home = tempDirectory('slipway-cluster-registry-');
const root = join(home, 'store');
const STATE = join(root, 'data/edge');
const FIRST = 'first-password-1';
const SECOND = 'second-password-2';
const TOOL = 'quay.io/plant/tool:1';

let m1: LabHost;
let m2: LabHost;
const before = new Map<string, string>();

const reach = (): string[] => ['-i', m1.keyFile, '--host-key-check=off'];
const file = join(home, 'Clusterfile');

/** Writes the Clusterfile. */
function want(registry: string, masters: readonly LabHost[] = [m1, m2]): void {
  writeFileSync(
    file,
    `apiVersion: slipway/v1
kind: Cluster
metadata: { name: edge }
spec:
  image: base:v1.20.2
  hosts:
    - { ips: [${masters.map(({ ip }) => ip).join(', ')}], roles: [master] }
  registry: ${registry}
`,
  );
}
const local = (password: string): string => `{ localRegistry: { ha: true, username: ann, password: ${password} } }`;
const apply = (...more: readonly string[]) => slipway(['apply', '-f', file, ...reach(), ...more], { root });

/** As containerd does it for a pod, without unpacking; content that is there already is fetched again. */
const PULL = `pull() { ctr --namespace try images rm --sync "$1" >/dev/null 2>&1
  ctr --namespace try content ls -q | xargs -r ctr --namespace try content rm >/dev/null 2>&1
  ctr --namespace try content fetch --hosts-dir /etc/containerd/certs.d "$1" 2>&1; }
`;
const pull = (host: LabHost, image: string): Promise<string> => host.run(`${PULL}pull ${image} || exit 1`);
const leadsTo = (host: LabHost): Promise<string> => host.run("getent hosts sea.hub | awk '{ print $1 }'");

/** What the registry of a host says to a user with a password, asked from here. */
function answer(host: LabHost, password: string): string {
  const url = `https://${host.ip}:5000/v2/`;
  const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', join(STATE, 'pki/ca.crt')];
  return execFileSync('curl', [...args, '-u', `ann:${password}`, url], { encoding: 'utf8' });
}

describe.skipIf(!lab.ok).sequential('the registry of a cluster', () => {
  beforeAll(async () => {
    m1 = await startLabHost('reg-m1', '10.99.0.110');
    m2 = await startLabHost('reg-m2', '10.99.0.111');
    for (const host of [m1, m2]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1.20.2');
    want(local(FIRST));
    const { code, stderr } = await slipway(['run', '-f', file, ...reach()], { root });
    expect(code, stderr).toBe(0);
  });

  afterAll(stopLabHosts);

  it('is on every master; when one ends the hosts find the other, at once and from then on', async () => {
    for (const host of [m1, m2]) {
      expect(answer(host, FIRST)).toBe('200');
      expect(answer(host, 'wrong')).toBe('401');
      expect(await host.run('stat -c %a /var/lib/slipway/data/edge/rootfs/certs/registry_htpasswd')).toBe('600\n');
    }
    for (const host of [m1, m2]) expect(await leadsTo(host)).toBe(`${m1.ip}\n`);
    await m1.run('systemctl stop slipway-registry');
    await pull(m2, 'docker.io/library/web:1.0');
    for (const host of [m1, m2]) await until(async () => (await leadsTo(host)) === `${m2.ip}\n`);
    for (const host of [m1, m2]) await pull(host, 'docker.io/library/web:1.0');
    await m1.run('systemctl start slipway-registry');
    await until(async () => (await leadsTo(m2)) === `${m1.ip}\n`);
    const plan = JSON.parse((await apply('--dry-run', '--json')).stdout) as { steps: { id: string; state: string }[] };
    expect(plan.steps.filter(({ state }) => state !== 'done').map(({ id }) => id)).toEqual([]);
  });

  it('takes images later, on all its hosts; pods find them under their own names, and those of the image stay', async () => {
    const push = (...args: string[]) => slipway(['registry', 'push', ...args, ...reach()], { root });
    const context = join(home, 'tool');
    mkdirSync(context);
    writeFileSync(join(context, 'file'), 'a tool');
    writeFileSync(join(context, 'Kubefile'), '# dialect=docker\nFROM scratch\nCOPY file /\n');
    await mustSlipway(['build', '--build-mode', 'lite', '-t', 'tool:dev', context], { root });
    const archive = join(home, 'tool.tar');
    await mustSlipway(['copy', 'tool:dev', `docker-archive:${archive}:${TOOL}`], { root });

    // What the second lacks, because it was down, it has afterwards.
    const own = await push('store:tool:dev', '--as', 'docker.io/library/web:1.0');
    expect(own.code).not.toBe(0);
    expect(own.stderr).toContain('library/web:1.0 is an image that base:v1.20.2 brings');
    const first = await push(`docker-archive:${archive}`);
    expect(first.stdout + first.stderr).toMatch(new RegExp(`${TOOL} \\(sha256:.*\\): .* sent`));
    expect(first.stdout).toContain(`is served by ${m1.ip}, ${m2.ip}; brought to ${m2.ip}`);
    expect((await push(`docker-archive:${archive}`)).stdout).toMatch(/: was there already\n.*is served by [^;]*\n$/);
    await m1.run('systemctl stop slipway-registry');
    for (const host of [m1, m2]) await pull(host, TOOL);
    await m1.run('systemctl start slipway-registry');

    await m2.run('rm -r /var/lib/slipway/data/edge/rootfs/registry/docker/registry/v2/repositories/plant');
    expect(JSON.parse(await mustSlipway(['registry', 'sync', '--json', ...reach()], { root }))).toMatchObject({
      supplied: [m2.ip],
    });
    const plan = JSON.parse((await apply('--dry-run', '--json')).stdout) as { steps: { id: string; state: string }[] };
    expect(plan.steps.filter(({ state }) => state !== 'done').map(({ id }) => id)).toEqual([]);
  });

  it('gets another password and another certificate while pulls go on, and no pod is touched', async () => {
    // Without those that end by themselves when the API server is slow: they have lost their lease then.
    const pods = (): Promise<string> =>
      m1.run(
        `KUBECONFIG=/etc/kubernetes/admin.conf kubectl get pods -A -o jsonpath='{range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}{"\\n"}{end}' | grep -vE '^kube-(scheduler|controller-manager)-' | sort`,
      );
    const running = await pods();
    writeFileSync(
      join(m2.root, 'root/pulls.sh'),
      `${PULL}while [ ! -e /root/enough ]; do
  if out=$(pull ${TOOL}); then echo pulled; else echo "failed: $out"; fi
done >/root/pulls`,
    );
    await m2.run('systemd-run -q --unit=pulls bash /root/pulls.sh');
    await until(async () => (await m2.run('grep -c pulled /root/pulls; true')).trim() !== '0');

    want(local(SECOND));
    const changed = await apply();
    expect(changed.code, changed.stderr).toBe(0);
    for (const host of [m1, m2]) {
      expect(answer(host, FIRST)).toBe('401');
      expect(answer(host, SECOND)).toBe('200');
    }
    const ca = readFileSync(join(STATE, 'pki/ca.crt'), 'utf8');
    await mustSlipway(['registry', 'rotate', ...reach()], { root });
    expect(readFileSync(join(STATE, 'pki/ca.crt'), 'utf8')).not.toBe(ca);
    for (const host of [m1, m2]) expect(answer(host, SECOND)).toBe('200');

    await m2.run('touch /root/enough');
    await until(async () => (await m2.run('systemctl is-active pulls; true')).trim() !== 'active');
    const pulls = await m2.run('cat /root/pulls');
    expect(pulls).not.toContain('failed');
    expect(pulls.match(/pulled/g)?.length).toBeGreaterThan(2);
    await m2.run('rm /root/pulls /root/enough /root/pulls.sh; systemctl reset-failed pulls 2>/dev/null; true');
    for (const host of [m1, m2]) {
      expect(await host.run('cat /etc/containerd/certs.d/sea.hub:5000/ca.crt')).toBe(
        readFileSync(join(STATE, 'pki/ca.crt'), 'utf8'),
      );
      expect(await host.run('cat /etc/containerd/certs.d/*/hosts.toml')).not.toContain(
        Buffer.from(`ann:${FIRST}`).toString('base64'),
      );
    }
    expect(await pods()).toBe(running);
    // The scripts that start the registries are asked again, which have nothing to do.
    expect((await apply()).stdout).toContain(': 2 steps done');
  });

  it('goes on without the master that was asked first', async () => {
    await mustSlipway(['delete', '--force', '--masters', m1.ip, '--drain-timeout', '0', ...reach()], { root });
    expect(await m1.run(HOST_SNAPSHOT)).toBe(before.get(m1.name));
    expect(readFileSync(join(STATE, 'admin.kubeconfig'), 'utf8')).toContain(`server: https://${m2.ip}:6443`);
    await until(async () => (await leadsTo(m2)) === `${m2.ip}\n`);
    expect(await m2.run('cat /etc/slipway/registries')).toBe(`sea.hub 5000\n${m2.ip}\n`);
    await pull(m2, TOOL);
  });

  it('is replaced by one outside of the cluster, with its own authority and password', async () => {
    const { issue, cert } = await makeAuthority(home);
    const tls = await issue('external', { names: ['10.99.0.1'] });
    const external = await startDockerRegistry({ listen: '10.99.0.1', tls, users: { bob: SECOND } });
    try {
      const port = external.address.split(':').pop();
      const registry = (password: string): string =>
        `{ externalRegistry: { domain: 10.99.0.1, port: ${port}, username: bob, password: ${password}, ca: ${cert} } }`;
      want(registry('wrong-password'), [m2]);
      const refused = await apply();
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain(external.address);
      want(registry(SECOND), [m2]);
      const { stdout } = await apply('--dry-run');
      expect(stdout).toMatch(
        new RegExp(`upload the container images to ${external.address}: 8 of 8 images are missing`),
      );
      const { code, stderr } = await apply();
      expect(code, stderr).toBe(0);
      await pull(m2, 'docker.io/library/web:1.0');
      expect(await m2.run('grep -c sea.hub /etc/hosts; ls /etc/slipway/registries 2>&1; true')).toMatch(
        /^0\n.*No such/,
      );
      expect(
        await m2.run('systemctl is-active slipway-registry; ls /var/lib/slipway/data/edge/rootfs; true'),
      ).not.toMatch(/^active|^registry$/m);
      await until(async () => (await apply('--dry-run')).stdout.includes('nothing to do'));
      for (const entry of readdirSync(STATE, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
        for (const password of [FIRST, SECOND]) expect(text, entry.name).not.toContain(password);
        expect(text, entry.name).not.toContain(Buffer.from(`bob:${SECOND}`).toString('base64'));
      }
    } finally {
      await external.close();
    }
    await mustSlipway(['reset', '--cluster', 'edge', '--force', ...reach()], { root });
    expect(await m2.run(HOST_SNAPSHOT)).toBe(before.get(m2.name));
  });
});
