// The main job, whole: images built by slipway itself, shipped through Debian's docker-registry with passwords, and launched on two real
// hosts that have never seen the internet; then taken away without a trace.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';

const exec = promisify(execFile);
const lab = labAvailable();
if (!lab.ok) console.warn(`main job: left out: ${lab.why}`);

const LAB = fileURLToPath(new URL('../lab', import.meta.url));
const KUBECTL = join(process.env.SLIPWAY_LAB ?? '/var/tmp/slipway-lab', 'kubernetes/bin/kubectl');
const SSH_PASSWORD = 'secret';
const REGISTRY_PASSWORD = 'registry-Passw0rd';

const home = tempDirectory('slipway-e2e-');
/** Where images are built, and the machine at the site that only pulls. */
const builder = join(home, 'builder');
const site = join(home, 'site');
const env = { DOCKER_CONFIG: join(home, 'docker') };

let registry: DockerRegistry;
let master: LabHost;
let worker: LabHost;
let image: string;
const before = new Map<string, string>();

const kubectl = async (...args: string[]): Promise<string> =>
  (await exec(KUBECTL, ['--kubeconfig', join(site, 'data/harbour/admin.kubeconfig'), ...args])).stdout;

const hosts = (): string[] => [
  '--masters',
  master.ip,
  '--nodes',
  worker.ip,
  '-u',
  'root',
  '--passwd',
  SSH_PASSWORD,
  '--cluster',
  'harbour',
];

describe.skipIf(!lab.ok).sequential('the main job', () => {
  beforeAll(async () => {
    await exec(join(LAB, 'kubernetes.sh'));
    await exec(join(LAB, 'lab.sh'), ['setup']);
    registry = await startDockerRegistry({ users: { shipper: REGISTRY_PASSWORD } });
    image = `${registry.address}/clusters/harbour:v1`;
    master = await startLabHost('job-m1', '10.99.0.50');
    worker = await startLabHost('job-n1', '10.99.0.51');
    for (const host of [master, worker]) before.set(host.name, await host.run(HOST_SNAPSHOT));
  });

  afterAll(async () => {
    await stopLabHosts();
    await registry?.close();
  });

  it('builds the component images and pushes them with a password', async () => {
    await mustSlipway(['login', '-u', 'shipper', '--password-stdin', registry.address], {
      root: builder,
      env,
      stdin: REGISTRY_PASSWORD,
    });
    const contexts = join(home, 'images');
    await exec(join(LAB, 'basefs/images.sh'), [contexts]);
    const list = readFileSync(join(contexts, 'images.tsv'), 'utf8').trim().split('\n');
    expect(list.length).toBeGreaterThanOrEqual(7);
    for (const line of list) {
      const [directory = '', reference = ''] = line.split('\t');
      const name = `${registry.address}/${reference.slice(reference.indexOf('/') + 1)}`;
      await mustSlipway(['build', '--build-mode', 'lite', '-t', name, join(contexts, directory)], {
        root: builder,
        env,
      });
      await mustSlipway(['push', name], { root: builder, env });
    }
  });

  it('builds the cluster image with all of them in it, and an application on top', async () => {
    mkdirSync(builder, { recursive: true });
    writeFileSync(
      join(builder, 'config.yaml'),
      `registries: {mirrors: {k8s.gcr.io: ["${registry.address}"], docker.io: ["${registry.address}"]}}\n`,
    );
    const base = join(home, 'base');
    await exec(join(LAB, 'basefs/assemble.sh'), [base]);
    await mustSlipway(['build', '-t', `${registry.address}/clusters/base:v1.20.2`, base], { root: builder, env });

    const app = join(home, 'app');
    mkdirSync(join(app, 'site'), { recursive: true });
    const kubefile = [
      `FROM ${registry.address}/clusters/base:v1.20.2`,
      'ENV SITE=unknown',
      'APP site local://site',
      'APPENV site SITE=harbour',
      'KUBEVERSION >=1.19, <1.30',
      'LAUNCH ["site"]',
    ];
    writeFileSync(join(app, 'Kubefile'), kubefile.join('\n'));
    writeFileSync(
      join(app, 'site/site.yaml.tmpl'),
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: site}\ndata: {name: {{ .SITE }}}\n',
    );
    await mustSlipway(['build', '-t', image, app], { root: builder, env });
    await mustSlipway(['push', image], { root: builder, env });
    const described = JSON.parse(await mustSlipway(['inspect', image, '--json'], { root: builder })) as {
      containerImages: unknown[];
      launch: unknown;
    };
    expect(described.containerImages).toHaveLength(8);
    expect(described.launch).toEqual({ cmds: ['bash scripts/apply-cni.sh'], apps: ['site'] });
  });

  it('pulls it into a fresh store; a wrong password is told and nothing is stored', async () => {
    const refused = await slipway(['pull', image, '-u', 'shipper', '--password-stdin'], {
      root: site,
      stdin: 'wrong',
      env: { DOCKER_CONFIG: join(home, 'none') },
    });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/hint: .*login/);
    await mustSlipway(['pull', image], { root: site, env });
    expect(await mustSlipway(['images', '-q'], { root: site })).toMatch(/^sha256:\w+\n$/);
  });

  it('refuses before touching a host: wrong SSH password, a host that is not there', async () => {
    const wrong = await slipway(['run', image, '--masters', master.ip, '--passwd', 'not-it', '--cluster', 'harbour'], {
      root: site,
    });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining(master.ip) });
    expect(wrong.stderr + wrong.stdout).not.toContain('not-it');
    const absent = await slipway(
      ['run', image, '--masters', master.ip, '--nodes', '10.99.0.59', '--passwd', SSH_PASSWORD, '--cluster', 'harbour'],
      { root: site },
    );
    expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining('10.99.0.59') });
    for (const host of [master, worker]) expect(await host.run(HOST_SNAPSHOT)).toBe(before.get(host.name));
  });

  it('shows the plan and changes nothing', async () => {
    const plan = await mustSlipway(['run', image, ...hosts(), '--dry-run'], { root: site });
    expect(plan).toMatch(/kubeadm init/);
    expect(plan).toMatch(/kubeadm join/);
    for (const host of [master, worker]) expect(await host.run(HOST_SNAPSHOT)).toBe(before.get(host.name));
  });

  it('launches: both nodes are Ready', async () => {
    const output = await mustSlipway(['run', image, ...hosts()], { root: site });
    console.log(output);
    expect(output.match(/ Ready\b/g)).toHaveLength(2);
    expect(
      await kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'),
    ).toBe('True True');
    expect(await kubectl('get', 'configmap', 'site', '-o', 'jsonpath={.data.name}')).toBe('harbour');
  });

  it('runs a pod on the worker, its image pulled from the cluster registry under its upstream name', async () => {
    const overrides = JSON.stringify({ spec: { nodeName: worker.name } });
    await kubectl('run', 'web', '--image=docker.io/library/web:1.0', `--overrides=${overrides}`);
    await kubectl('wait', 'pod/web', '--for=condition=Ready', '--timeout=120s');
    const address = await kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.podIP}');
    expect(await worker.run(`curl -s --retry 10 --retry-connrefused http://${address}/`)).toContain('Slipway');
    expect(await master.run('journalctl -u slipway-registry --no-pager')).toMatch(/library\/web\/manifests/);
  });

  it('finds everything done the second time, and sends no file', async () => {
    const { stdout, stderr, code } = await slipway(['run', image, ...hosts()], { root: site });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/: 0 steps done/);
    expect(stderr).not.toContain('receiving');
  });

  it('keeps secrets out of state, logs and hosts', async () => {
    for (const file of readdirSync(join(site, 'data/harbour'), { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const text = readFileSync(join(file.parentPath, file.name), 'utf8');
      for (const secret of [SSH_PASSWORD, REGISTRY_PASSWORD])
        expect(text.split(/\W+/).includes(secret), `${secret} in ${file.name}`).toBe(false);
    }
    expect(await master.run(`grep -rlF '${REGISTRY_PASSWORD}' /etc /var/lib/slipway 2>/dev/null; true`)).toBe('');
  });

  it('resets: the hosts are as they were', async () => {
    const { code, stderr } = await slipway(['reset', '--cluster', 'harbour', '--passwd', SSH_PASSWORD, '--force'], {
      root: site,
    });
    expect(code, stderr).toBe(0);
    for (const host of [master, worker]) {
      const after = await host.run(HOST_SNAPSHOT);
      const lines = new Set(before.get(host.name)?.split('\n'));
      expect(
        after.split('\n').filter((line) => !lines.has(line)),
        `left on ${host.name}`,
      ).toEqual([]);
      expect(after).toBe(before.get(host.name));
    }
    expect(
      (await slipway(['reset', '--cluster', 'harbour', '--passwd', SSH_PASSWORD, '--force'], { root: site })).code,
    ).toBe(1);
  });
});
