import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SlipwayError } from '../../../../src/base/errors.js';
import { hostFindings, unitsOf } from '../../../../src/install/check/host-checks.js';
import { type GatheredHost, parseGathered } from '../../../../src/install/check/host-facts.js';
import type { ClusterState } from '../../../../src/install/state/cluster-state.js';
import { putClusterState } from '../../../support/cluster-state.js';

let root: string;
let state: ClusterState;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'slipway-check-'));
  state = await putClusterState(root, 'edge', { '10.0.0.2': 'master' });
});
afterAll(() => rmSync(root, { recursive: true }));

const GIB = 1024 ** 3;
const good: GatheredHost = {
  clockSkewMs: -200,
  owner: { cluster: 'edge', id: 'id-of-edge' },
  disks: [{ mount: '/', totalBytes: 100 * GIB, freeBytes: 50 * GIB }],
  units: [{ unit: 'kubelet.service', load: 'loaded', active: 'active', sub: 'running', file: 'enabled' }],
  registry: '',
  certificates: [],
  given: [],
  halfSent: false,
  listing: new Map(),
  verified: undefined,
  installed: { missing: [], changed: [] },
};
const found = (answer: GatheredHost | { failure: unknown }, leaving = false): string[] => {
  const [known] = state.hosts;
  if (known === undefined) throw new Error('the cluster has no host');
  const host = leaving ? { ...known, leaving } : known;
  return hostFindings({ known: host, answer }, state, 0).map(
    ({ severity, host, check, what, why }) => `${severity} ${host} ${check}: ${what}: ${why}`,
  );
};

describe('a host', () => {
  it('that is as it should be has no findings', () => {
    expect(found(good)).toEqual([]);
    // where nothing is pulled from the registry nobody asks it
    expect(found({ ...good, registry: undefined })).toEqual([]);
  });

  it('that does not answer is one finding, with the reason', () => {
    const failure = new SlipwayError(
      'E_HOST_UNREACHABLE',
      'host 10.0.0.2: cannot be reached over SSH: port 22: connect EHOSTUNREACH, while running gather facts',
      { hint: 'see that the host is up' },
    );
    expect(found({ failure })).toEqual([
      'problem 10.0.0.2 reachable: the host does not answer: cannot be reached over SSH: port 22: connect EHOSTUNREACH',
    ]);
  });

  it('of another cluster, or of none, is judged no further', () => {
    const wrong = { ...good, clockSkewMs: 1e6 };
    expect(found({ ...wrong, owner: { cluster: 'dock', id: '7' } })).toEqual([
      'problem 10.0.0.2 owner: the host belongs to another cluster: it says that it is of dock (7), not of edge (id-of-edge)',
    ]);
    expect(found({ ...wrong, owner: undefined })).toEqual([
      expect.stringMatching(/^problem 10\.0\.0\.2 owner: nothing of cluster edge is on the host/),
    ]);
    expect(found(wrong, true)).toEqual([expect.stringMatching(/^warning 10\.0\.0\.2 owner: the host is not clean/)]);
    expect(found({ ...wrong, owner: undefined }, true)).toEqual([]);
  });

  it('has clocks, disks, services and a registry', () => {
    expect(found({ ...good, clockSkewMs: 30_000 })).toEqual([]);
    expect(found({ ...good, clockSkewMs: -90_000 })).toEqual([
      "problem 10.0.0.2 clock: the clock is wrong: it is 90 s behind this machine's",
    ]);
    const disks = [
      { mount: '/', totalBytes: 100 * GIB, freeBytes: 10 * GIB },
      { mount: '/var', totalBytes: 100 * GIB, freeBytes: 9 * GIB },
      { mount: '/var/log', totalBytes: 2 * GIB, freeBytes: 0.9 * GIB },
    ];
    expect(found({ ...good, disks })).toEqual([
      'warning 10.0.0.2 disk: the file system of /var is nearly full: 9.66GB of 107GB are free',
      'warning 10.0.0.2 disk: the file system of /var/log is nearly full: 966MB of 2.15GB are free',
    ]);
    const units = [
      { unit: 'containerd.service', load: 'not-found', active: 'inactive', sub: 'dead', file: 'unknown' },
      { unit: 'kubelet.service', load: 'loaded', active: 'activating', sub: 'auto-restart', file: 'enabled' },
      // only on some hosts
      { unit: 'slipway-registry.service', load: 'not-found', active: 'inactive', sub: 'dead', file: 'unknown' },
      { unit: 'slipway-apiserver.service', load: 'loaded', active: 'failed', sub: 'failed', file: 'enabled' },
      { unit: 'k3s.service', load: 'loaded', active: 'active', sub: 'running', file: 'disabled' },
      { unit: 'k3s-agent.service', load: 'loaded', active: 'active', sub: 'running', file: 'static' },
    ];
    expect(found({ ...good, units })).toEqual([
      'problem 10.0.0.2 services: containerd.service is not active: systemd says of it: not-found',
      'problem 10.0.0.2 services: kubelet.service is not active: it is activating (auto-restart)',
      'problem 10.0.0.2 services: slipway-apiserver.service is not active: it is failed (failed)',
      'warning 10.0.0.2 services: k3s.service does not start with the host: it runs, and is disabled',
    ]);
    expect(found({ ...good, registry: 'connection refused' })).toEqual([
      'problem 10.0.0.2 registry: the registry sea.hub:5000 does not answer this host: connection refused',
    ]);
  });

  it('has files that scripts of the image installed', () => {
    const missing = ['/usr/bin/kubelet'];
    const changed = ['/etc/a', '/etc/b', '/etc/c', '/etc/d'];
    expect(found({ ...good, installed: { missing, changed } })).toEqual([
      'problem 10.0.0.2 installed: 1 installed file is missing: /usr/bin/kubelet',
      'warning 10.0.0.2 installed: 4 installed files were changed: /etc/a, /etc/b, /etc/c, and 1 more',
    ]);
  });

  it('runs what its runtime runs', () => {
    expect(unitsOf('k8s', false)).toEqual(expect.arrayContaining(['containerd.service', 'kubelet.service']));
    expect(unitsOf('k3s', true)[0]).toBe('k3s.service');
    expect(unitsOf('k0s', false)[0]).toBe('k0sworker.service');
  });
});

describe('what a host says of itself', () => {
  const TEXT = `owner={"cluster":"edge","id":"7"}
disk=1000 500 /
disk=1000 500 /
disk=2000 100 /var/lib
unit=kubelet.service LoadState=loaded ActiveState=failed SubState=failed UnitFileState=enabled 
registry=Unable to connect to the server: x509: certificate signed by unknown authority 
certificate=/etc/kubernetes/pki/ca.crt -----BEGIN CERTIFICATE-----|AAAA|-----END CERTIFICATE-----|
end=1
`;
  it('is read', () => {
    expect(parseGathered('10.0.0.2', TEXT)).toEqual({
      owner: { cluster: 'edge', id: '7' },
      disks: [
        { mount: '/', totalBytes: 1000 * 1024, freeBytes: 500 * 1024 },
        { mount: '/var/lib', totalBytes: 2000 * 1024, freeBytes: 100 * 1024 },
      ],
      units: [{ unit: 'kubelet.service', load: 'loaded', active: 'failed', sub: 'failed', file: 'enabled' }],
      registry: 'Unable to connect to the server: x509: certificate signed by unknown authority',
      certificates: [
        {
          file: '/etc/kubernetes/pki/ca.crt',
          pem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        },
      ],
    });
  });

  it('without its end is not believed', () => {
    expect(() => parseGathered('10.0.0.2', TEXT.replace('end=1\n', ''))).toThrow('has no end');
  });

  it('of a registry that refuses without a password is that it answers', () => {
    const answer = (text: string): string | undefined => parseGathered('h', `registry=${text}\nend=1\n`).registry;
    expect(answer('')).toBe('');
    expect(answer('error: You must be logged in to the server (Unauthorized) ')).toBe('');
    expect(parseGathered('h', 'end=1\n').registry).toBeUndefined();
  });
});
