import { describe, expect, it } from 'vitest';
import type { ClusterContext } from '../../../src/runtime/driver.js';
import { initStep } from '../../../src/runtime/kubeadm/init.js';
import { joinWorkerStep } from '../../../src/runtime/kubeadm/join.js';
import { type StubHost, stubHost } from '../../support/stub-host.js';

const LOOK = 'looking for Kubernetes on the host';
const context = (masters: readonly StubHost[], workers: readonly StubHost[]): ClusterContext =>
  ({ name: 'c', rootfs: '/r', version: 'v1.20.2', masters, workers, certSANs: [], configDocuments: [] }) as never;
const node = (name: string, ip: string): string =>
  JSON.stringify({
    name,
    addresses: [ip],
    labels: {},
    taints: [],
    marks: '',
    conditions: [],
    unschedulable: false,
    version: 'v1',
  });

describe('kubeadm join', () => {
  /** A worker that is a node, and what it has left of a join that was killed. */
  function joined(left: string): { readonly entry: StubHost; readonly worker: StubHost; readonly scripts: string[] } {
    const scripts: string[] = [];
    const entry = stubHost('10.0.0.2', (title) =>
      title === 'kubectl get nodes' ? { stdout: node('w', '10.0.0.3') } : undefined,
    );
    entry.files.set('/etc/kubernetes/admin.conf', 'x');
    const worker = stubHost('10.0.0.3', (title, script) => {
      scripts.push(script);
      return title === LOOK ? { stdout: `kubelet-configured\nkubelet-active\nleftovers\n${left}` } : undefined;
    });
    return { entry, worker, scripts };
  }

  it('is done when kubelet runs and the node is known', async () => {
    const { entry, worker } = joined('');
    expect(await joinWorkerStep(worker, context([entry], [worker])).done()).toBe(true);
  });

  it('that was killed leaves secrets, which the same command takes away without joining again', async () => {
    const { entry, worker, scripts } = joined('join-secrets\n');
    const step = joinWorkerStep(worker, context([entry], [worker]));
    expect(await step.done()).toBe(false);
    await step.run(() => {});
    for (const file of [
      '/run/slipway/kubeadm-join.yaml',
      '/run/slipway/kubeadm-discovery.conf',
      '/etc/kubernetes/bootstrap-kubelet.conf',
    ])
      expect(
        scripts.some((script) => script.includes('rm -f') && script.includes(file)),
        file,
      ).toBe(true);
    expect(worker.asked.filter((title) => title.startsWith('kubeadm'))).toEqual([]);
    // killed before kubeadm said it: an upgrade would not go on without
    expect(entry.asked).toContain('noting the socket of the container runtime');
  });

  it.each([
    ['v1.20.2', true],
    // It leads by an endpoint there.
    ['v1.16.15', false],
  ])('of %s waits for a controller manager that leads: %s', async (version, asked) => {
    const leads = 'asking who leads the controllers';
    const entry = stubHost('10.0.0.2', (title) => {
      if (title === 'kubectl get nodes') return { stdout: node('w', '10.0.0.3') };
      return title === leads ? { stdout: 'm1_1' } : undefined;
    });
    entry.files.set('/etc/kubernetes/pki/ca.crt', 'CA');
    const worker = stubHost('10.0.0.3', () => undefined);
    await joinWorkerStep(worker, { ...context([entry], [worker]), version }).run(() => {});
    expect(entry.asked.includes(leads)).toBe(asked);
    expect(worker.asked).toContain('kubeadm join');
    expect(worker.files.get('/run/slipway/kubeadm-discovery.conf')).toContain('https://apiserver.cluster.local:6443');
  });
});

describe('kubeadm init', () => {
  const begun = async (left: string): Promise<readonly string[]> => {
    const first = stubHost('10.0.0.2', (title) => (title === LOOK ? { stdout: left } : undefined));
    await initStep(first, context([first], [])).run(() => {});
    return first.asked.filter((title) => title.startsWith('kubeadm'));
  };

  it('begins again after a start of ours that broke', async () => {
    expect(await begun('leftovers\n')).toEqual(['kubeadm reset', 'kubeadm init']);
    expect(await begun('')).toEqual(['kubeadm init']);
  });

  it('does not reset a CA away that somebody has laid there', async () => {
    await expect(begun('leftovers\nstrangers-ca\n')).rejects.toThrow(
      /10\.0\.0\.2: \/etc\/kubernetes\/pki\/ca\.crt is there, and not from a start of this cluster/,
    );
  });
});
