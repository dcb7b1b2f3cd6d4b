// A cluster of k3s on real hosts. The program is a stand-in that runs real Kubernetes (test/lab/standins), unless K3S_BINARY names a real one.
import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { runtimeScenario } from './support/runtime-scenario.js';

const program = process.env.K3S_BINARY;

const ETCD = '/var/lib/rancher/k3s/server/tls/etcd';

runtimeScenario({
  name: 'k3s',
  addresses: ['10.99.0.130', '10.99.0.131', '10.99.0.132', '10.99.0.133'],
  version: program === undefined ? 'v1.30.4+k3s1' : versionOf(program),
  next: program === undefined ? 'v1.30.5+k3s1' : undefined,
  program,
  pause: 'docker.io/rancher/mirrored-pause:3.6',
  kubectl: 'k3s kubectl',
  secrets: {
    master: ['/etc/rancher/k3s/config.yaml', '/etc/rancher/k3s/registries.yaml', '/etc/rancher/k3s/k3s.yaml'],
    worker: ['/etc/rancher/k3s/config.yaml', '/etc/rancher/k3s/registries.yaml'],
  },
  units: { master: 'k3s.service', worker: 'k3s-agent.service' },
  members: `curl -sS --http1.1 --cacert ${ETCD}/peer-ca.crt --cert ${ETCD}/peer-server-client.crt --key ${ETCD}/peer-server-client.key https://10.99.0.130:2380/members | grep -o 'https://[0-9.]*:2380' | sed 's#https://##; s#:2380##'`,
  titles: { init: 'start the first k3s server', join: 'start a k3s server that joins' },
  certificates: { api: 'serving-kube-apiserver', kubelet: 'agent-client-kubelet' },
  tokensEnd: false,
  // a bolt database, as etcd's snapshots are: its magic number stands in the first page
  restorable: (file) => `[ "$(od -An -tx4 -j16 -N4 ${file} | tr -d ' ')" = ed0cdaed ]`,
  async grown(first) {
    // It began alone, with SQLite.
    expect((await first.run('ls /var/lib/rancher/k3s/server/db')).split('\n')).toEqual(
      expect.arrayContaining(['etcd', 'state.db.migrated']),
    );
  },
});

function versionOf(file: string): string {
  const text = execFileSync(file, ['--version'], { encoding: 'utf8' });
  return /^k3s version (\S+)/m.exec(text)?.[1] ?? '';
}
