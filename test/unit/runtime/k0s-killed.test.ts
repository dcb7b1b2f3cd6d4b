// What the same command does after one of k0s was killed on the way.
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { ClusterContext } from '../../../src/runtime/driver.js';
import { leaveEtcd } from '../../../src/runtime/k0s/etcd.js';
import { joinMasterStep, joinWorkerStep } from '../../../src/runtime/k0s/join.js';
import { removeRootKubeconfig } from '../../../src/runtime/k0s/kubeconfig.js';
import { leftToken, SPENT_TOKEN } from '../../../src/runtime/k0s/tokens.js';
import { REMOVE_REMAINS_SCRIPT } from '../../../src/runtime/kubeadm/reset-script.js';
import { type StubHost, stubHost } from '../../support/stub-host.js';

const LOOK = 'looking for k0s on the host';
const READY = 'asking the API server for /readyz';
const TAKE_BACK = 'taking the join token back';
const TOKEN_FILE = '/etc/k0s/k0stoken';
const VERSION = 'v1.31.14+k0s.0';
const UNHEALTHY = 'Error: failed to delete member: etcdserver: unhealthy cluster\n';

const token = (text = 'abc123.0123456789abcdef'): string => {
  const users = [{ name: 'controller-bootstrap', user: { token: text } }];
  return gzipSync(stringify({ clusters: [{ cluster: { server: 'https://10.0.0.2:9443' } }], users })).toString(
    'base64',
  );
};
const context = (masters: readonly StubHost[], workers: readonly StubHost[]): ClusterContext =>
  ({ name: 'c', rootfs: '/r', version: VERSION, masters, workers, certSANs: [], configDocuments: [] }) as never;
const node = (ip: string): string =>
  JSON.stringify({
    name: ip,
    addresses: [ip],
    labels: {},
    taints: [],
    marks: '',
    conditions: [{ type: 'Ready', status: 'True', reason: '', message: '' }],
    unschedulable: false,
    version: VERSION,
  });
const members = (...addresses: readonly string[]): string =>
  JSON.stringify({ members: Object.fromEntries(addresses.map((one) => [one, `https://${one}:2380`])) });
const spent = ({ files }: StubHost): boolean => files.get(TOKEN_FILE)?.trim() === SPENT_TOKEN;

describe('a token that a killed join has left', () => {
  it('is known by what is in it', () => {
    expect(leftToken(Buffer.from(`${token()}\n`))?.id).toBe('abc123');
    expect(leftToken(undefined)).toBeUndefined();
    expect(leftToken(Buffer.from(''))).toBeUndefined();
    expect(leftToken(Buffer.from(`${SPENT_TOKEN}\n`))).toBeUndefined();
    // as another version of zlib packs it
    expect(leftToken(Buffer.from(gzipSync(token('spents.pentspentspentsp'), { level: 0 })))).toBeUndefined();
  });

  const joined = (answer: { readonly code: number; readonly stderr: string }) => {
    const entry = stubHost('10.0.0.2', (title) => {
      if (title === 'kubectl get nodes') return { stdout: `${node('10.0.0.2')}\n${node('10.0.0.3')}\n` };
      return title === TAKE_BACK ? answer : undefined;
    });
    const worker = stubHost('10.0.0.3', (title) =>
      title === LOOK ? { stdout: 'kubelet-configured\ninstalled worker\nactive worker\nleftovers\n' } : undefined,
    );
    return { entry, worker, step: joinWorkerStep(worker, context([entry], [worker])) };
  };

  it.each([
    { code: 0, stderr: '' },
    { code: 1, stderr: 'Error: secrets "bootstrap-token-abc123" not found\n' },
  ])('goes, though the host has joined by itself: %j', async (answer) => {
    const { entry, worker, step } = joined(answer);
    worker.files.set(TOKEN_FILE, `${token()}\n`);
    expect(await step.done()).toBe(false);
    await step.run(() => {});
    expect(entry.asked.filter((title) => title === TAKE_BACK)).toHaveLength(1);
    expect(spent(worker)).toBe(true);
    expect(await step.done()).toBe(true);
  });

  it('stays where the cluster does not take it back, so that the next attempt sees it', async () => {
    const { worker, step } = joined({ code: 1, stderr: 'Error: forbidden\n' });
    worker.files.set(TOKEN_FILE, `${token()}\n`);
    await expect(step.run(() => {})).rejects.toThrow(/join token abc123 that 10\.0\.0\.3 has .* taken back\nError: f/);
    expect(spent(worker)).toBe(false);
  });

  it('is not looked for where there is no file', async () => {
    const { entry, worker, step } = joined({ code: 0, stderr: '' });
    expect(await step.done()).toBe(true);
    await step.run(() => {});
    expect(entry.asked).not.toContain(TAKE_BACK);
    expect(worker.files.has(TOKEN_FILE)).toBe(false);
  });
});

describe('a controller whose join was killed after its start', () => {
  it('is waited for, its token goes, and it stays a member', async () => {
    let looks = 0;
    const up = (): boolean => looks > 2;
    const entry = stubHost('10.0.0.2', (title) => {
      if (title === 'k0s etcd member-list') return { stdout: members('10.0.0.2', '10.0.0.3') };
      if (title === 'k0s etcd leave') return { code: 1, stderr: UNHEALTHY };
      return title === 'kubectl get nodes' && up() ? { stdout: node('10.0.0.3') } : undefined;
    });
    const master = stubHost('10.0.0.3', (title) => {
      if (title === LOOK) looks++;
      if (title === LOOK)
        return { stdout: `installed controller\nactive controller\nleftovers\n${up() ? 'kubelet-configured\n' : ''}` };
      if (title === 'k0s status')
        return up() ? { stdout: `{"Version":"${VERSION}","Pid":1,"Role":"controller"}` } : { code: 1 };
      return title === READY ? { stdout: up() ? 'ok' : '', code: up() ? 0 : 1 } : undefined;
    });
    master.files.set(TOKEN_FILE, `${token()}\n`);
    master.files.set('/var/lib/k0s/pki/admin.conf', 'x');
    const step = joinMasterStep(master, context([entry, master], []));
    expect(await step.done()).toBe(false);
    // what follows the join is not told here
    await step.run(() => {}).catch(() => undefined);
    expect(looks).toBeGreaterThan(2);
    expect(entry.asked).not.toContain('k0s etcd leave');
    expect(master.asked.filter((title) => /reset|install/.test(title))).toEqual([]);
    expect(entry.asked).toContain(TAKE_BACK);
    expect(spent(master)).toBe(true);
  });
});

describe('a member that leaves etcd', () => {
  const leaving = (answers: string[]): StubHost => {
    let left = false;
    return stubHost('10.0.0.2', (title) => {
      if (title === 'k0s etcd member-list') return { stdout: members('10.0.0.2', ...(left ? [] : ['10.0.0.3'])) };
      if (title !== 'k0s etcd leave') return undefined;
      const stderr = answers.shift() ?? '';
      left = stderr === '';
      return left ? {} : { code: 1, stderr };
    });
  };
  const times = ({ asked }: StubHost): number => asked.filter((title) => title === 'k0s etcd leave').length;

  it('is asked for again while etcd is not healthy yet', async () => {
    const entry = leaving([UNHEALTHY]);
    await leaveEtcd(entry, '10.0.0.3');
    expect(times(entry)).toBe(2);
  });

  it('and stays told of when something else is wrong', async () => {
    const entry = leaving(['Error: permission denied\n']);
    await expect(leaveEtcd(entry, '10.0.0.3')).rejects.toThrow(/still has 10\.0\.0\.3 as a member\n.*denied/);
    expect(times(entry)).toBe(1);
  });
});

it('a reset that is killed while it removes root’s kubeconfig is seen as one: the file that says so goes last', async () => {
  const scripts: string[] = [];
  const master = stubHost('10.0.0.2', (_title, script) => {
    scripts.push(script);
    return undefined;
  });
  await removeRootKubeconfig(master);
  const orders = [...scripts, REMOVE_REMAINS_SCRIPT].map((script) => [
    script.search(/rm -rf \S*(?:\$d|dirname \S+)\S*\/cache"/),
    script.search(/rm -f \/root\/\.kube\/config\n/),
  ]);
  expect(orders).toHaveLength(2);
  for (const [cache = -1, config = -1] of orders) {
    expect(cache).toBeGreaterThan(0);
    expect(config).toBeGreaterThan(cache);
  }
});
