// What every runtime must be able to do with real hosts, told once: the tests of k3s and k0s run it, each with its own facts.
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../../lab/lab.js';
import { buildRuntimeImages, type RuntimeImage, WEB_IMAGE } from '../../lab/runtime-image.js';
import { HOST_SNAPSHOT } from '../../lab/snapshot.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { until } from '../../support/until.js';
import { type Row, scenarioTable } from './scenario-table.js';

/** What an ETCD plugin of the second image saves before nodes are upgraded. */
const SAVE_PLUGIN = `apiVersion: slipway/v1
kind: Plugin
metadata: { name: keep }
spec: { type: ETCD, action: upgrade }
`;

/** A switch of stand-ins (test/lab/standins/README.md). */
const EXPIRED_TOKEN = '/run/stand-in-expired-token';

/** In what one runtime differs from another, as far as a test can see it. */
export interface RuntimeFacts {
  /** `k3s`; also the beginning of the names of its hosts. */
  readonly name: RuntimeImage['runtime'];
  /** The first three masters, and a worker. */
  readonly addresses: readonly [string, string, string, string];
  readonly version: string;
  /** What its kubelet says of itself, where that is another text. */
  readonly kubeletVersion?: string;
  /** The version that the cluster is upgraded to; undefined where there is only one (a real program). */
  readonly next: string | undefined;
  readonly program: string | undefined;
  readonly pause: string;
  /** `k3s kubectl`, on a master. */
  readonly kubectl: string;
  /** Files on a first master and on a worker whose settings must be for root alone. */
  readonly secrets: { readonly master: readonly string[]; readonly worker: readonly string[] };
  /** Services of a master and of a worker. */
  readonly units: { readonly master: string; readonly worker: string };
  /** A command on a master that prints the addresses of the members of etcd, one a line. */
  readonly members: string;
  /** What a plan calls the step of the first master, and that of a joining one. */
  readonly titles: { readonly init: string; readonly join: string };
  /** As the runtime calls the certificate of the API server, and that of kubelet on a worker. */
  readonly certificates: { readonly api: string; readonly kubelet: string };
  /** Its join tokens end, and a stand-in can be told to make one that has ended. */
  readonly tokensEnd: boolean;
  /** A command on a master that fails when this file is nothing that the runtime could be restored from. */
  readonly restorable: (file: string) => string;
  /** What a second master changes on the first: it begins with one, and must have etcd afterwards. */
  readonly grown?: (first: LabHost) => Promise<void>;
}

/** One cluster, from nothing to nothing. */
export function runtimeScenario(facts: RuntimeFacts): void {
  const lab = labAvailable();
  if (!lab.ok) console.warn(`${facts.name}: left out: ${lab.why}`);
  const home = tempDirectory(`slipway-${facts.name}-`);
  const root = join(home, 'store');
  const cluster = 'boat';
  const before = new Map<string, string>();
  const hosts: LabHost[] = [];
  const seen = new Map<Row, string>();
  /** The work of some rows: seen when it ends well. */
  const see = async <T>(rows: readonly Row[], work: () => Promise<T>): Promise<T> => {
    const begun = Date.now();
    const result = await work();
    for (const row of rows) seen.set(row, `ok, ${Math.round((Date.now() - begun) / 1000)} s`);
    return result;
  };
  const [m1, m2, m3, n1] = [0, 1, 2, 3].map((index) => () => {
    const host = hosts[index];
    if (host === undefined) throw new Error('the hosts have not started');
    return host;
  }) as [() => LabHost, () => LabHost, () => LabHost, () => LabHost];
  const login = (): string[] => ['-i', m1().keyFile, '--host-key-check=off'];
  const logOf = ({ ip }: LabHost): string => readFileSync(join(root, 'data', cluster, 'logs', `${ip}.log`), 'utf8');
  const kubectl = (master: LabHost, command: string): Promise<string> => master.run(`${facts.kubectl} ${command}`);
  const members = async (): Promise<string[]> => (await m1().run(facts.members)).trim().split('\n').sort();
  const versions = async (): Promise<string[]> =>
    (
      await kubectl(
        m1(),
        `get nodes -o jsonpath='{range .items[*]}{.status.nodeInfo.kubeletVersion} {.spec.unschedulable}{"\\n"}{end}'`,
      )
    )
      .trim()
      .split('\n')
      .map((line) => line.trim());
  const run = (image: string): string[] => [
    ...['run', image, '--cluster', cluster, '--masters', m1().ip, '--nodes', n1().ip, ...login()],
  ];

  describe.skipIf(!lab.ok).sequential(`a cluster of ${facts.name}`, () => {
    beforeAll(async () => {
      for (const [index, name] of ['m1', 'm2', 'm3', 'n1'].entries()) {
        const host = await startLabHost(`${facts.name}-${name}`, facts.addresses[index] ?? '');
        hosts.push(host);
        before.set(host.name, await host.run(HOST_SNAPSHOT));
      }
      mkdirSync(root, { recursive: true });
      const image = { runtime: facts.name, program: facts.program, pause: facts.pause };
      await buildRuntimeImages(root, {
        'boat:v1': { ...image, version: facts.version },
        ...(facts.next === undefined
          ? {}
          : { 'boat:v2': { ...image, version: facts.next, files: { 'plugins/keep.yaml': SAVE_PLUGIN } } }),
      });
    });

    afterAll(async () => {
      console.log(`${scenarioTable(facts.program === undefined ? `${facts.name} (stand-in)` : facts.name, seen)}\n`);
      await stopLabHosts();
    });

    it('begins with one master and one worker, also when the command is killed on the way', async () => {
      const killed = startSlipway([...run('boat:v1'), '--progress=plain'], { root });
      await until(async () => killed.output().includes(facts.titles.init));
      killed.kill('SIGKILL');
      await killed.ended;
      const wrongToken = facts.tokensEnd && facts.program === undefined;
      if (wrongToken) await m1().run(`touch ${EXPIRED_TOKEN}`);
      const done = await see(['init 1 master', 'join 1 node', 'resume after kill -9'], () =>
        mustSlipway(run('boat:v1'), { root }),
      );
      if (wrongToken) expect(logOf(n1())).toContain('did not take the join token');
      expect(done.match(/ Ready\b/g)).toHaveLength(2);
      expect(await versions()).toEqual(Array(2).fill(facts.kubeletVersion ?? facts.version));
      expect(await mustSlipway(run('boat:v1'), { root })).toContain(': 0 steps done');
      for (const [host, files] of [
        [m1(), facts.secrets.master],
        [n1(), facts.secrets.worker],
      ] as const) {
        for (const file of files) expect((await host.run(`stat -c '%a %U' ${file}`)).trim(), file).toBe('600 root');
      }
      expect((await m1().run(`systemctl is-enabled ${facts.units.master}`)).trim()).toBe('enabled');
      expect((await n1().run(`systemctl is-enabled ${facts.units.worker}`)).trim()).toBe('enabled');
    });

    it('runs pods on the worker, with images from the registry of the cluster', async () => {
      // it does not listen to what would end it: nobody has to wait for that when its node is drained
      const place = `--overrides='{"spec":{"nodeName":"${n1().name}","terminationGracePeriodSeconds":1}}'`;
      await kubectl(m1(), `run web --image=${WEB_IMAGE.replace('docker.io/library/', '')} ${place}`);
      await until(async () => (await kubectl(m1(), 'get pod web -o jsonpath={.status.phase}')) === 'Running');
    });

    it('keeps no token in what it writes on this machine', async () => {
      const { stdout } = await slipway(['status', '--cluster', cluster, '--json', ...login()], { root });
      expect(JSON.parse(stdout)).toMatchObject({ clusters: [{ name: cluster }] });
      for (const file of facts.secrets.worker) {
        const secret = /[:\s]([A-Za-z0-9+/=]{32,})/.exec(
          await n1().run(`grep -h -i token ${file} || cat ${file}`),
        )?.[1];
        if (secret === undefined) continue;
        const { code } = await grep(secret, home);
        expect(code, `the secret of ${file} is in ${home}`).toBe(1);
      }
    });

    it('has certificates that are shown, get names, and are renewed', async () => {
      const cert = (...more: string[]): string[] => ['cert', '--cluster', cluster, ...more, ...login()];
      const { hosts: listed } = JSON.parse(await mustSlipway(cert('--json'), { root })) as Certificates;
      const [master, worker] = listed.map(({ certificates }) => certificates);
      const { api, kubelet } = facts.certificates;
      expect(master?.find(({ name }) => name === api)).toMatchObject({ renewed: 'command', daysLeft: 364 });
      expect(master?.filter(({ renewed }) => renewed === 'never').every(({ daysLeft }) => daysLeft > 3600)).toBe(true);
      expect(worker?.find(({ name }) => name === kubelet)).toMatchObject({ renewed: 'self', daysLeft: 364 });
      const served = async (): Promise<X509Certificate> =>
        new X509Certificate(
          await m1().run(
            `openssl s_client -connect ${m1().ip}:6443 </dev/null 2>/dev/null | openssl x509 -outform pem`,
          ),
        );
      const add = cert('--alt-names', 'boat.example,203.0.113.9');
      expect(await mustSlipway(add, { root })).toContain('are known by these names as well');
      const before_ = await served();
      for (const name of ['DNS:boat.example', 'IP Address:203.0.113.9', `IP Address:${m1().ip}`])
        expect(before_.subjectAltName?.split(', ')).toContain(name);
      expect(await mustSlipway(add, { root })).toContain('nothing to do');
      await mustSlipway(cert('--renew'), { root });
      const after = await served();
      expect(after.serialNumber).not.toBe(before_.serialNumber);
      expect(after.subjectAltName?.split(', ').sort()).toEqual(before_.subjectAltName?.split(', ').sort());
      // what was added by hand is wanted from now on
      expect(await mustSlipway(run('boat:v1'), { root })).toContain(': 0 steps done');
      expect(await kubectl(m1(), 'get pod web -o jsonpath={.status.phase}')).toBe('Running');
    });

    it('grows to three masters, and the worker finds them all', async () => {
      const wrongToken = facts.tokensEnd && facts.program === undefined;
      if (wrongToken) await m1().run(`touch ${EXPIRED_TOKEN}`);
      const join_ = ['join', '--masters', `${m2().ip},${m3().ip}`, '--cluster', cluster, ...login()];
      const grown = await see(['join 2 masters'], () => mustSlipway(join_, { root }));
      if (wrongToken) expect(logOf(m2()) + logOf(m3())).toContain('did not take the join token');
      expect(grown.match(/ Ready\b/g)).toHaveLength(4);
      expect(await members()).toEqual([m1().ip, m2().ip, m3().ip].sort());
      await facts.grown?.(m1());
      expect(await mustSlipway(join_, { root })).toContain(': 0 steps done');
      // what was there when the first was alone is there still
      expect(await kubectl(m2(), 'get pod web -o jsonpath={.status.phase}')).toBe('Running');
    });

    it('refuses what would cost etcd its quorum', async () => {
      const out = ['delete', '--masters', m2().ip, '--cluster', cluster, '--force', ...login()];
      await m3().cable('down');
      try {
        const refused = await slipway(out, { root });
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain(`without ${m2().ip} only 1 of 2 members of etcd would be up, and 2 must be`);
      } finally {
        await m3().cable('up');
      }
      expect(await members()).toHaveLength(3);
    });

    it.skipIf(facts.next === undefined)('becomes another version, master by master, then the worker', async () => {
      await until(async () => !(await kubectl(m1(), 'get nodes')).includes('NotReady'));
      // The cable was out: etcd has chosen another leader, and every API server has found it.
      for (const master of [m1(), m2(), m3()]) {
        await until(async () => (await kubectl(master, 'get --raw=/readyz')).trim() === 'ok');
      }
      const upgrade = ['upgrade', 'boat:v2', '--cluster', cluster, '--drain-timeout', '240', ...login()];
      const done = await see(['upgrade'], () => mustSlipway(upgrade, { root }));
      expect(done.match(/ Ready\b/g)).toHaveLength(4);
      expect(await versions()).toEqual(Array(4).fill(facts.next));
      expect(await members()).toHaveLength(3);
      // What its image wanted saved before, on the master that was asked: the first one that answered just then.
      const kept = await Promise.all(
        [m1(), m2(), m3()].map(async (host) => ({
          host,
          files: (await host.run('ls -d /var/lib/slipway/backups/* 2>/dev/null; true')).trim(),
        })),
      );
      const [saved, ...others] = kept.filter(({ files }) => files !== '');
      if (saved === undefined) throw new Error('nothing was saved');
      expect(others).toEqual([]);
      expect((await saved.host.run(`stat -c '%a %U' ${saved.files}`)).trim()).toBe('600 root');
      await saved.host.run(facts.restorable(saved.files));
      await saved.host.run('rm -r /var/lib/slipway/backups');
    });

    it('is known again when the machine that launched it is lost', async () => {
      const kept = JSON.parse(readFileSync(join(root, 'data', cluster, 'cluster.json'), 'utf8')) as Known;
      rmSync(join(root, 'data', cluster), { recursive: true });
      for (const master of [m1(), m2(), m3()]) await master.run(`rm /var/lib/slipway/data/${cluster}/.cluster.json`);
      await mustSlipway(['gen', '--masters', m1().ip, '-f', join(home, 'Clusterfile'), ...login()], { root });
      const known = JSON.parse(readFileSync(join(root, 'data', cluster, 'cluster.json'), 'utf8')) as Known;
      const what = ({ id, image, version, hosts: list }: Known) => ({
        ...{ id, image, version },
        hosts: list.map(({ address, roles }) => `${address} ${roles.join()}`).sort(),
      });
      expect(what(known)).toEqual(what(kept));
      expect(known.certSANs).toEqual(expect.arrayContaining(['boat.example', '203.0.113.9']));
    });

    it('lets a worker and a master go, and both are clean', async () => {
      const out = ['delete', '--nodes', n1().ip, '--masters', m3().ip, '--cluster', cluster, '--force', ...login()];
      await see(['delete a node', 'delete a master'], () => mustSlipway(out, { root }));
      expect(await members()).toEqual([m1().ip, m2().ip].sort());
      const nodes = await kubectl(m1(), 'get nodes');
      for (const host of [n1(), m3()]) {
        expect(nodes).not.toContain(host.name);
        expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
      }
    });

    it('leaves nothing of itself on any host when it is reset, also when that is done again', async () => {
      const reset = ['reset', '--cluster', cluster, '--force', ...login()];
      const killed = startSlipway([...reset, '--progress=plain'], { root });
      await until(async () => /remov/i.test(killed.output()));
      killed.kill('SIGKILL');
      await killed.ended;
      await see(['reset'], () => mustSlipway(reset, { root }));
      for (const host of hosts) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
    });
  });
}

interface Certificates {
  readonly hosts: readonly {
    readonly certificates: readonly { readonly name: string; readonly renewed: string; readonly daysLeft: number }[];
  }[];
}

interface Known {
  readonly id: string;
  readonly image: object;
  readonly version: string;
  readonly certSANs: readonly string[];
  readonly hosts: readonly { readonly address: string; readonly roles: readonly string[] }[];
}

async function grep(secret: string, directory: string): Promise<{ readonly code: number }> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('grep', ['-rqF', '--exclude-dir=blobs', '--', secret, directory], (error) =>
      resolve({ code: error === null ? 0 : Number(error.code) }),
    );
  });
}
