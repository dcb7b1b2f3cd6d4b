// What a person does with a cluster that is up: looks at it, runs commands on its hosts, and asks whether all is as it should be; and what
// is said when it is not.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/install/check/finding.js';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`dayops: left out: ${lab.why}`);

const root = join(tempDirectory('slipway-dayops-'), 'store');
const ROOTFS = '/var/lib/slipway/data/edge/rootfs';
let master: LabHost;
let worker: LabHost;

interface Report {
  readonly ok: boolean;
  readonly answered: number;
  readonly findings: readonly Finding[];
}

const reach = (): string[] => ['-i', master.keyFile, '--host-key-check=off'];
const exec = (...words: readonly string[]) => slipway(['exec', ...reach(), ...words], { root });

async function check(...flags: readonly string[]): Promise<Report & { readonly code: number | null }> {
  const { code, stdout, stderr } = await slipway(['check', ...reach(), '--json', ...flags], { root });
  try {
    return { code, ...(JSON.parse(stdout) as Report) };
  } catch {
    throw new Error(`check ended with ${code}: ${stdout}${stderr}`);
  }
}

/** What is wrong, without what the machine under the lab may lack: space. */
const problems = ({ findings }: Report): string[] =>
  findings.filter(({ severity }) => severity === 'problem').map(({ host, what, why }) => `${host}: ${what}: ${why}`);

async function statuses(): Promise<{ address: string; status: string; why: string | null }[]> {
  const document = JSON.parse(await mustSlipway(['status', ...reach(), '--json'], { root })) as {
    clusters: [{ hosts: { address: string; status: string; why: string | null }[] }];
  };
  return document.clusters[0].hosts;
}

describe.skipIf(!lab.ok).sequential('a cluster that is up', () => {
  beforeAll(async () => {
    master = await startLabHost('dayops-m1', '10.99.0.90');
    worker = await startLabHost('dayops-n1', '10.99.0.91');
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1.20.2');
    const hosts = ['--cluster', 'edge', '--masters', master.ip, '--nodes', worker.ip];
    await mustSlipway(['run', 'base:v1.20.2', ...hosts, ...reach()], { root });
    // from here on without it
    await mustSlipway(['rmi', 'base:v1.20.2'], { root });
  });

  afterAll(stopLabHosts);

  it('is shown with its hosts', async () => {
    const text = await mustSlipway(['status', ...reach()], { root });
    expect(text).toContain('edge (running)');
    expect(text).toContain(`Asked:       ${master.ip}`);
    expect(text).toContain(join(root, 'data/edge/admin.kubeconfig'));
    expect(text).toMatch(new RegExp(`^${master.ip} +master +${master.name} +v1\\.20\\.2\\S* +Ready$`, 'm'));
    expect(text).toMatch(new RegExp(`^${worker.ip} +node +${worker.name} +v1\\.20\\.2\\S* +Ready$`, 'm'));
  });

  it('is as it should be, by its attributes and by every file', async () => {
    await until(async () => problems(await check()).length === 0);
    const report = await check('--deep');
    expect(problems(report)).toEqual([]);
    expect(report).toMatchObject({ code: 0, ok: true, answered: 2 });
    expect((await slipway(['check', ...reach()], { root })).stdout).toMatch(
      /Cluster edge is as it should be.*; 2 of 2 hosts answered\.\n$/,
    );
  });

  it('runs commands on all hosts, or on some, as root', async () => {
    const all = await exec('--', 'hostname; echo trouble >&2; id -u');
    expect(all.code).toBe(0);
    expect(all.stdout.split('\n').sort()).toEqual(
      [
        '',
        `${master.ip} | 0`,
        `${master.ip} | ${master.name}`,
        `${worker.ip} | 0`,
        `${worker.ip} | ${worker.name}`,
      ].sort(),
    );
    expect(all.stderr.split('\n').sort()).toEqual(['', `${master.ip} | trouble`, `${worker.ip} | trouble`].sort());
    const words = await exec('--nodes', '--', 'printf', '%s;', '$HOME', 'two words', '*');
    expect(words).toMatchObject({ code: 0, stdout: `${worker.ip} | $HOME;two words;*;\n` });
    expect((await exec('--masters', 'cat')).stdout).toBe('');
    expect((await exec('--roles', 'master', '--', 'hostname')).stdout).toBe(`${master.ip} | ${master.name}\n`);
    expect(await exec('--hosts', '10.99.0.99', '--', 'true')).toMatchObject({ code: 2 });
  });

  it('gives the exit code that all hosts agree on', async () => {
    expect((await exec('--', 'exit 7')).code).toBe(7);
    const differ = await exec('--', `[ "$(hostname)" = ${master.name} ] || exit 7`);
    expect(differ.code).toBe(1);
    expect(differ.stderr).toContain(`host ${worker.ip}: exit code 7`);
    const { code, stdout } = await exec('--json', '--', `[ "$(hostname)" = ${master.name} ] || exit 7; echo hi`);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      cluster: 'edge',
      hosts: [
        { host: master.ip, code: 0, stdout: 'hi\n', stderr: '', error: null },
        { host: worker.ip, code: 7, stdout: '', stderr: '', error: null },
      ],
    });
  });

  it('ends commands on the hosts at Ctrl-C', async () => {
    const running = startSlipway(['exec', ...reach(), '--', 'echo begun; sleep 98765'], { root });
    await until(async () => running.output().split('begun').length > 2);
    running.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect(code).toBe(130);
    expect(stderr).toContain('the commands on the hosts were ended');
    for (const host of [master, worker]) expect(await host.run('ps -eo args')).not.toContain('sleep 98765');
  });

  it('has files that somebody changed', async () => {
    const file = `${ROOTFS}/etc/kubelet.service`;
    await worker.run(
      `cp -a ${file} /root/kept; touch -r ${file} /root/time; sed -i 's/^./#/' ${file}; touch -r /root/time ${file}`,
    );
    // same size, time and mode: only its content tells
    expect(problems(await check())).toEqual([]);
    expect(problems(await check('--deep'))).toEqual([
      `${worker.ip}: 1 file is not as it was sent: etc/kubelet.service: its content is another one`,
    ]);
    await worker.run(`echo more >>${file}; mv ${ROOTFS}/bin/crictl /root/crictl`);
    const report = await check();
    expect(report.code).toBe(1);
    expect(problems(report)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^${worker.ip}: 2 files are not as they were sent: bin/crictl: missing; etc/kubelet.service: \\d+ bytes, not \\d+$`,
        ),
      ),
    ]);
    await worker.run(`cp -a /root/kept ${file}; mv /root/crictl ${ROOTFS}/bin/crictl`);
  });

  it('has installed files that are missing or were changed, and a service that will not start again', async () => {
    await worker.run(
      'mv /usr/bin/crictl /root/crictl; echo "# mine" >>/etc/crictl.yaml; systemctl disable -q containerd',
    );
    const { findings } = await check();
    const told = findings.filter(({ check: by }) => by === 'installed' || by === 'services');
    expect(told.map(({ severity, host, what, why }) => `${severity} ${host}: ${what}: ${why}`).sort()).toEqual([
      `problem ${worker.ip}: 1 installed file is missing: /usr/bin/crictl`,
      `warning ${worker.ip}: 1 installed file was changed: /etc/crictl.yaml`,
      `warning ${worker.ip}: containerd.service does not start with the host: it runs, and is disabled`,
    ]);
    await worker.run(
      `mv /root/crictl /usr/bin/crictl; sed -i '/# mine/d' /etc/crictl.yaml; systemctl enable -q containerd`,
    );
    await worker.run('printf "\\0" | dd of=/usr/bin/kubectl bs=1 seek=2000000 conv=notrunc status=none');
    expect(problems(await check())).toEqual([]);
    const deep = (await check('--deep')).findings.filter(({ check: by }) => by === 'installed');
    expect(deep.map(({ why }) => why)).toEqual(['/usr/bin/kubectl']);
    await worker.run(`cp ${ROOTFS}/bin/kubectl /usr/bin/kubectl`);
  });

  it('has a registry that does not answer', async () => {
    await master.run('systemctl stop slipway-registry');
    const found = problems(await check()).filter((line) => line.includes('registry'));
    expect(found.map((line) => line.split(': ').slice(0, 2).join(': '))).toEqual([
      `${master.ip}: slipway-registry.service is not active`,
      `${master.ip}: the registry sea.hub:5000 does not answer this host`,
      `${worker.ip}: the registry sea.hub:5000 does not answer this host`,
    ]);
    await master.run('systemctl start slipway-registry');
  });

  it('has a node that nobody knows, a pod that waits for too long, and a certificate that ends soon', async () => {
    const kubectl = (command: string): Promise<string> =>
      master.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);
    const given = (text: string): string => `echo ${Buffer.from(text).toString('base64')} | base64 -d`;
    const withKubectl = (text: string, command: string): Promise<string> =>
      master.run(`${given(text)} | KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);
    await withKubectl('{"apiVersion":"v1","kind":"Node","metadata":{"name":"stranger"}}', 'create -f -');
    await withKubectl(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'waits' },
        spec: { nodeSelector: { nowhere: 'at-all' }, containers: [{ name: 'one', image: 'none' }] },
      }),
      'create -f -',
    );
    // five minutes are not waited for: the pod says that it was longer
    const pod = JSON.parse(await kubectl('get pod waits -o json')) as { status: { conditions?: object[] } };
    const condition = {
      type: 'Ready',
      status: 'False',
      lastTransitionTime: '2026-01-02T03:04:05Z',
      message: 'it "waits"\nfor long: \u2603',
    };
    pod.status.conditions = [...(pod.status.conditions ?? []), condition];
    await withKubectl(JSON.stringify(pod), 'replace --raw /api/v1/namespaces/default/pods/waits/status -f -');
    const { key, certificate } = { key: join(root, 'soon.key'), certificate: join(root, 'soon.crt') };
    const subject = ['-subj', '/CN=soon', '-days', '20', '-nodes', '-keyout', key, '-out', certificate];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', ...subject], { stdio: 'ignore' });
    await master.run(`${given(readFileSync(certificate, 'utf8'))} >/etc/kubernetes/pki/soon.crt`);

    const report = await check();
    const found = problems(report);
    expect(found).toContainEqual(expect.stringMatching(/^null: node stranger is on no host that is known/));
    expect(found).toContainEqual(
      expect.stringMatching(
        /^null: pod default\/waits is not ready: Pending since 2026-01-02T03:04:05Z; .*it "waits"\nfor long: \u2603/,
      ),
    );
    expect(found.filter((line) => !/stranger|default\/waits/.test(line))).toEqual([]);
    expect(report.findings).toContainEqual(
      expect.objectContaining({
        severity: 'warning',
        host: master.ip,
        what: 'the certificate /etc/kubernetes/pki/soon.crt ends soon',
      }),
    );
    expect(await mustSlipway(['status', ...reach()], { root })).toContain('none of these hosts: stranger\n');
    await kubectl('delete node/stranger');
    await kubectl('delete pod/waits --now');
    await master.run('rm /etc/kubernetes/pki/soon.crt');
  });

  it('has a worker whose kubelet is stopped', async () => {
    await worker.run('systemctl stop kubelet');
    await until(async () => (await statuses())[1]?.status === 'NotReady');
    expect((await statuses())[1]?.why).toContain('NodeStatusUnknown');
    const report = await check();
    expect(report.code).toBe(1);
    const found = problems(report).filter((line) => !line.includes(': pod '));
    expect(found).toEqual([
      `${worker.ip}: kubelet.service is not active: it is inactive (dead)`,
      expect.stringMatching(new RegExp(`^${worker.ip}: node ${worker.name} is not Ready: NodeStatusUnknown`)),
    ]);
  });

  it('has a worker that does not answer', async () => {
    await worker.cable('down');
    const [first, second] = await statuses();
    expect(first).toMatchObject({ address: master.ip, status: 'Ready', why: null });
    expect(second).toMatchObject({ address: worker.ip, status: 'unreachable' });
    expect(second?.why).toMatch(/cannot be reached over SSH.*; the cluster says NotReady \(NodeStatusUnknown/);
    const report = await check();
    expect(report).toMatchObject({ code: 1, answered: 1 });
    expect(problems(report).filter((line) => !line.includes(': pod '))).toEqual([
      expect.stringMatching(new RegExp(`^${worker.ip}: the host does not answer: cannot be reached over SSH`)),
      expect.stringMatching(new RegExp(`^${worker.ip}: node ${worker.name} is not Ready`)),
    ]);
    const { code, stdout, stderr } = await exec('--', 'hostname');
    expect(code).toBe(1);
    expect(stdout).toBe(`${master.ip} | ${master.name}\n`);
    expect(stderr).toMatch(new RegExp(`^host ${worker.ip}: cannot be reached`, 'm'));
    await worker.cable('up');
  });
});
