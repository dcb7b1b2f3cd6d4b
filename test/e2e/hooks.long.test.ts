// Hooks of an image and of a Clusterfile on real hosts: they are run in order, once, again when they have changed, and at the end.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`hooks: left out: ${lab.why}`);

const home = tempDirectory('slipway-hooks-');
const root = join(home, 'store');
const file = join(home, 'Clusterfile');
const LOG = '/tmp/hooks.log';
const PHASES = {
  hosts: [
    'Originally',
    'PreInit',
    'pre-init-host',
    'post-init-host',
    'PreGuest',
    'PostInstall',
    'pre-clean-host',
    'PostClean',
  ],
  master: ['pre-install', 'post-install', 'post-uninstall'],
};
let m1: LabHost;
let n1: LabHost;

const plugin = (name: string, spec: string): string =>
  `apiVersion: sealer.io/v1\nkind: Plugin\nmetadata: { name: ${name} }\nspec: ${spec}\n---\n`;
/** Writes down where and when it runs. */
const noting = (phase: string, word = phase): string =>
  plugin(`note-${phase}`, `{ type: SHELL, action: ${phase}, data: 'echo "${word} $HostIP" >>${LOG}' }`);

function clusterfile(...more: readonly string[]): string {
  return `apiVersion: slipway/v1
kind: Cluster
metadata: { name: quay }
spec:
  image: quay:v1
  ssh: { pk: ${m1.keyFile} }
  hosts:
    - { ips: [${m1.ip}], roles: [master] }
    - { ips: [${n1.ip}], roles: [node] }
---
${[...PHASES.hosts, ...PHASES.master].map((phase) => noting(phase)).join('')}
${plugin('names', `{ type: HOSTNAME, data: "${n1.ip} dock-1" }`)}
${plugin('labels', `{ type: LABEL, action: PreGuest, data: "${n1.ip} disk=ssd" }`)}
${plugin('whole', '{ type: CLUSTERCHECK }')}
${plugin('backup', '{ type: ETCD, action: post-install }')}
${plugin('on-label', `{ type: SHELL, action: PostInstall, on: disk=ssd, data: "echo labelled $HostIP >>${LOG}" }`)}
${plugin('may-go', '{ type: SHELL, action: pre-uninstall, data: "kubectl get nodes; [ -e /tmp/may-go ] || { echo not yet; exit 5; }" }')}
${more.join('')}`;
}

const command = (...args: readonly string[]): string[] => [...args, '--host-key-check=off'];
const said = async (host: LabHost): Promise<string[]> => (await host.run(`cat ${LOG}`)).trim().split('\n');
const by = (host: LabHost, ...words: readonly string[]): string[] => words.map((word) => `${word} ${host.ip}`);

describe.skipIf(!lab.ok).sequential('hooks', () => {
  const before = new Map<string, string>();
  beforeAll(async () => {
    m1 = await startLabHost('hooks-m1', '10.99.0.100');
    n1 = await startLabHost('hooks-n1', '10.99.0.101');
    for (const host of [m1, n1]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1.20.2');
    const context = join(home, 'image');
    mkdirSync(join(context, 'plugins'), { recursive: true });
    writeFileSync(join(context, 'Kubefile'), 'FROM base:v1.20.2\nCOPY plugins plugins\n');
    writeFileSync(
      join(context, 'plugins/image.yaml'),
      plugin(
        'a-of-the-image',
        `{ type: SHELL, action: pre-init-host, scope: master, data: "echo image $ClusterRootfs >>${LOG}" }`,
      ),
    );
    await mustSlipway(['build', '-t', 'quay:v1', context], { root });
    writeFileSync(file, clusterfile());
  });

  afterAll(stopLabHosts);

  it('are run in their order, each where it belongs', async () => {
    await mustSlipway(command('run', '-f', file), { root });
    expect(await said(m1)).toEqual([
      ...by(m1, 'Originally', 'pre-install'),
      'image /var/lib/slipway/data/quay/rootfs',
      ...by(m1, 'PreInit', 'pre-init-host', 'post-init-host', 'post-install', 'PreGuest', 'PostInstall'),
    ]);
    expect(await said(n1)).toEqual(
      by(n1, 'Originally', 'PreInit', 'pre-init-host', 'post-init-host', 'PreGuest', 'PostInstall', 'labelled'),
    );
    const nodes = await m1.run('KUBECONFIG=/etc/kubernetes/admin.conf kubectl get nodes -l disk=ssd -o name');
    expect(nodes).toBe('node/dock-1\n');
    expect(await m1.run('stat -c %a /var/lib/slipway/backups/quay-backup-*.db')).toBe('600\n');
  });

  it('are not run again, until they have changed', async () => {
    const lines = (await said(m1)).length;
    expect(await mustSlipway(command('apply', '-f', file), { root })).toContain(': 0 steps done');
    expect(await said(m1)).toHaveLength(lines);
    writeFileSync(file, clusterfile().replace(noting('post-install'), noting('post-install', 'changed')));
    const plan = JSON.parse(await mustSlipway(command('plan', '-f', file, '--json'), { root })) as {
      steps: { id: string; state: string; why: string }[];
    };
    expect(plan.steps.filter(({ state }) => state !== 'done')).toMatchObject([
      { id: `hook-post-install-note-post-install@${m1.ip}`, state: 'todo', why: 'post-install, the Clusterfile' },
    ]);
    await mustSlipway(command('apply', '-f', file), { root });
    expect((await said(m1)).slice(lines)).toEqual(by(m1, 'changed'));
    expect(await said(n1)).toHaveLength(7);
  });

  it('have the last word at a reset, and are run without the image', async () => {
    await mustSlipway(['rmi', 'quay:v1', 'base:v1.20.2'], { root });
    const refused = await slipway(command('reset', '--cluster', 'quay', '--force', '-i', m1.keyFile), { root });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/hook may-go failed[\s\S]*exit code 5[\s\S]*not yet[\s\S]*--skip-hooks/);
    expect(await mustSlipway(command('status', '--cluster', 'quay', '-i', m1.keyFile), { root })).toContain(
      'quay (running)',
    );
    await m1.run(`touch /tmp/may-go; : >${LOG}`);
    await n1.run(`: >${LOG}`);
    await mustSlipway(command('reset', '--cluster', 'quay', '--force', '-i', m1.keyFile), { root });
    expect(await said(m1)).toEqual(by(m1, 'pre-clean-host', 'PostClean', 'post-uninstall'));
    expect(await said(n1)).toEqual(by(n1, 'pre-clean-host', 'PostClean'));
    await m1.run('rm -r /var/lib/slipway/backups; rmdir /var/lib/slipway 2>/dev/null || true');
    for (const host of [m1, n1]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
  });
});
