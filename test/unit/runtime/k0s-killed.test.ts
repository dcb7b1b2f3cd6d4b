// What the same command does after one of k0s was killed on the way.
import { describe, expect, it } from 'vitest';
import type { ClusterContext } from '../../../src/runtime/driver.js';
import { leaveEtcd } from '../../../src/runtime/k0s/etcd.js';
import { joinMasterStep } from '../../../src/runtime/k0s/join.js';
import { type StubHost, stubHost } from '../../support/stub-host.js';

const LOOK = 'looking for k0s on the host';
const READY = 'asking the API server for /readyz';
const VERSION = 'v1.31.14+k0s.0';
const UNHEALTHY = 'Error: failed to delete member: etcdserver: unhealthy cluster\n';

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

describe('a controller whose join was killed after its start', () => {
  it('is waited for, and stays a member', async () => {
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
    master.files.set('/var/lib/k0s/pki/admin.conf', 'x');
    const step = joinMasterStep(master, context([entry, master], []));
    expect(await step.done()).toBe(false);
    // what follows the join is not told here
    await step.run(() => {}).catch(() => undefined);
    expect(looks).toBeGreaterThan(2);
    expect(entry.asked).not.toContain('k0s etcd leave');
    expect(master.asked.filter((title) => /reset|install/.test(title))).toEqual([]);
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
