// A cluster of k0s on real hosts. The program is a stand-in that runs real Kubernetes (test/lab/standins), unless K0S_BINARY names a real one;
// then LAB_BUNDLE names the archive of its container images (k0s-airgap-bundle-VERSION-ARCH).
import { execFileSync } from 'node:child_process';
import { runtimeScenario } from './support/runtime-scenario.js';

const program = process.env.K0S_BINARY;

const version =
  program === undefined ? 'v1.31.14+k0s.0' : execFileSync(program, ['version'], { encoding: 'utf8' }).trim();

runtimeScenario({
  name: 'k0s',
  addresses: ['10.99.0.140', '10.99.0.141', '10.99.0.142', '10.99.0.143'],
  version,
  // Of the real one without the number of the build: v1.31.14+k0s
  ...(program === undefined ? {} : { kubeletVersion: version.replace(/\.\d+$/, '') }),
  next: program === undefined ? 'v1.32.13+k0s.0' : undefined,
  program,
  pause: program === undefined ? 'k8s.gcr.io/pause:3.2' : 'registry.k8s.io/pause:3.9',
  kubectl: 'k0s kubectl',
  secrets: { master: ['/etc/k0s/k0s.yaml', '/root/.kube/config'], worker: ['/etc/k0s/k0stoken'] },
  units: { master: 'k0scontroller.service', worker: 'k0sworker.service' },
  members: `k0s etcd member-list | grep -o 'https://[0-9.]*:2380' | sed 's#https://##; s#:2380##'`,
  titles: { init: 'k0s install controller', join: 'k0s install controller with a token' },
  certificates: { api: 'server', kubelet: 'kubelet' },
  tokensEnd: true,
  // what "k0s restore" looks for in it
  restorable: (file) => `tar -tzf ${file} | grep -q '^etcd-snapshot' && tar -tzf ${file} | grep -qx k0s.yaml`,
});
