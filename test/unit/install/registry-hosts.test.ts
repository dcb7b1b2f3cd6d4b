// Which hosts serve the registry, how the others get to it, and how what they have is kept in step.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { readClusterfile } from '../../../src/install/clusterfile/read-clusterfile.js';
import { specFromClusterfile } from '../../../src/install/clusterfile/spec-from-clusterfile.js';
import { clusterfileOf } from '../../../src/install/clusterfile/write-clusterfile.js';
import { markLeaving } from '../../../src/install/delete-hosts.js';
import type { HostListing } from '../../../src/install/files/host-listing.js';
import { neededByPushed } from '../../../src/install/files/pushed-content.js';
import { lacksOf } from '../../../src/install/registry/even-out.js';
import { registryAccess } from '../../../src/install/registry/registry-access.js';
import { authorizationOf, mirrorFiles } from '../../../src/install/registry/registry-mirrors.js';
import { acceptsNext, withAuthorities } from '../../../src/install/registry/registry-trust.js';
import { hostsEntries, wayFiles } from '../../../src/install/registry/registry-way.js';
import { parseListing, type StorageListing } from '../../../src/install/registry/storage-listing.js';
import type { ClusterSpec } from '../../../src/install/spec/cluster-spec.js';
import { specFromFlags } from '../../../src/install/spec/spec-from-flags.js';
import { type ClusterState, registryServers } from '../../../src/install/state/cluster-state.js';
import { nextState } from '../../../src/install/state/next-state.js';
import { specFromState } from '../../../src/install/state/spec-from-state.js';
import { blobFile, layerLink, revisionLink, tagIndexLink, tagLink } from '../../../src/registry/distribution-paths.js';
import { kubeadmDriver } from '../../../src/runtime/kubeadm/driver.js';

const written = (state: ClusterState): string => clusterfileOf(state, kubeadmDriver);

const spec = (registry: Partial<ClusterSpec['registry']>, masters = '10.0.0.2-10.0.0.4'): ClusterSpec => {
  const flags = specFromFlags({ image: 'k8s:v1', masters, nodes: '10.0.0.9', cluster: 'prod' });
  return { ...flags, registry: { ...flags.registry, ...registry } };
};
const stateOf = (wanted: ClusterSpec, before?: ClusterState): ClusterState => ({
  ...nextState(
    before,
    {
      spec: wanted,
      image: { name: 'k8s:v1', digest: digestOf('k8s'), version: 'v1.30.0', upstreams: [] },
      driver: { name: 'k8s' },
      documents: [],
      servesImages: true,
    },
    { removal: true, change: undefined },
  ),
  phase: 'running',
});

describe('the hosts that serve the registry', () => {
  it('are the first master, or all of them, or none when it is outside of the cluster', () => {
    expect(registryServers(stateOf(spec({})))).toEqual(['10.0.0.2']);
    expect(registryServers(stateOf(spec({ ha: true })))).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
    expect(registryServers(stateOf(spec({ external: true })))).toEqual([]);
  });

  it('come and go with the masters', () => {
    const up = stateOf(spec({ ha: true }));
    expect(registryServers(markLeaving(up, ['10.0.0.2']))).toEqual(['10.0.0.3', '10.0.0.4']);
    expect(registryServers(markLeaving(up, ['10.0.0.2', '10.0.0.3']))).toEqual(['10.0.0.4']);
    expect(registryServers(stateOf(spec({ ha: true }, '10.0.0.2-10.0.0.5'), up))).toHaveLength(4);
    expect(() => markLeaving(stateOf(spec({})), ['10.0.0.2'])).toThrow(/10\.0\.0\.2 serves the registry/);
    expect(() => markLeaving(stateOf(spec({ external: true })), ['10.0.0.2'])).not.toThrow();
  });

  it('are kept with what was put there for other registries, and without the password', () => {
    const up = stateOf(spec({ ha: true, external: false, username: 'ann', password: 'open sesame' }));
    expect(JSON.stringify(up)).not.toContain('sesame');
    const later = stateOf(spec({ ha: true }), { ...up, registry: { ...up.registry, mirrors: ['quay.io'] } });
    expect(later.registry.mirrors).toEqual(['quay.io']);
    expect(specFromState(later, { ssh: {}, env: {} }).registry).toEqual({ domain: 'sea.hub', port: 5000, ha: true });
  });
});

it.each([
  { ha: true, username: 'ann', names: ['r.plant', '10.0.0.100'] },
  { insecure: true },
  { external: true, domain: 'r.example', port: 443, ca: '-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n' },
])('the registry of a cluster that is adopted is written down: %j', async (registry) => {
  const text = written(stateOf(spec(registry)));
  const sources = { file: '/Clusterfile', environment: { REGISTRY_PASSWORD: 'sesame!' } };
  const read = await specFromClusterfile(readClusterfile(text, 'Clusterfile'), {}, sources);
  expect(read.registry).toMatchObject(registry);
});

describe('the way to the registry', () => {
  const made = { ca: 'CA\n', certificate: '', key: '' };
  const servers = ['10.0.0.2', '10.0.0.3'];

  it('is a line of /etc/hosts, or a service that looks which of several answers', () => {
    const one = registryAccess(spec({}).registry, ['10.0.0.2'], made);
    expect(wayFiles(one)).toEqual([]);
    expect(hostsEntries(one)).toEqual([{ address: '10.0.0.2', names: ['sea.hub'] }]);
    const files = wayFiles(registryAccess(spec({ ha: true }).registry, servers, made));
    expect(files.map(({ path }) => path)).toEqual([
      '/usr/local/lib/slipway/registry-way',
      '/etc/systemd/system/slipway-registry-way.service',
      '/etc/slipway/registries',
    ]);
    expect(files[2]?.content).toBe('sea.hub 5000\n10.0.0.2\n10.0.0.3\n');
  });

  it('has for containerd the addresses of all servers beside the name', () => {
    const [, own] = mirrorFiles(registryAccess(spec({ ha: true }).registry, servers, made), []);
    expect(own?.content.match(/^\[host\."(.*)"\]$/gm)).toEqual([
      '[host."https://sea.hub:5000"]',
      '[host."https://10.0.0.2:5000"]',
      '[host."https://10.0.0.3:5000"]',
    ]);
  });

  it('leads to an external registry with its own authority, its password, or without TLS', () => {
    const external = { domain: 'harbor.example', port: 443, external: true, username: 'ann', password: 'sesame!' };
    const files = mirrorFiles(registryAccess({ ...external, ca: 'PEM\n' }, [], undefined), ['docker.io']);
    expect(files.map(({ path, mode }) => `${path} ${mode.toString(8)}`)).toEqual([
      '/etc/containerd/certs.d/harbor.example:443/ca.crt 644',
      '/etc/containerd/certs.d/harbor.example/hosts.toml 600',
      '/etc/containerd/certs.d/harbor.example:443/hosts.toml 600',
      '/etc/containerd/certs.d/docker.io/hosts.toml 600',
    ]);
    expect(authorizationOf(files[3]?.content ?? '')).toBe(`Basic ${Buffer.from('ann:sesame!').toString('base64')}`);
    const [plain] = mirrorFiles(registryAccess({ domain: 'r.lan', port: 80, insecure: true }, [], undefined), []);
    expect(plain).toMatchObject({ path: '/etc/containerd/certs.d/r.lan:80/hosts.toml', mode: 0o644 });
    expect(plain?.content).toContain('[host."http://r.lan:80"]');
    expect(plain?.content).not.toContain('ca =');
  });
});

describe('what hosts accept while the registry changes', () => {
  const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;
  const access = registryAccess({ ...spec({}).registry, username: 'ann', password: 'new one' }, ['10.0.0.2'], {
    ca: pem('new'),
    certificate: '',
    key: '',
  });

  it('is the password that comes, then the one that was, and both authorities', () => {
    const former = 'Basic Zm9ybWVy';
    const [, own] = mirrorFiles(access, [], former);
    const headers = [...(own?.content.matchAll(/host\."(.*)"\.header\]\n {4}Authorization = \["(.*)"\]/g) ?? [])];
    expect(headers.map(([, url, header]) => [url, header])).toEqual([
      ['https://sea.hub:5000', access.authorization],
      ['https://sea.hub:5000/v2', former],
    ]);
    expect(withAuthorities(pem('old'), pem('new'))).toBe(pem('old') + pem('new'));
    expect(withAuthorities(pem('old') + pem('new'), pem('new'))).toBe(pem('old') + pem('new'));
    expect(withAuthorities(undefined, pem('new'))).toBe(pem('new'));
  });

  it('is asked for before the registry changes, and not again when it is so', () => {
    const { authorization } = access;
    expect(acceptsNext({ ca: pem('old'), authorization }, access)).toBe(false);
    expect(acceptsNext({ ca: pem('new'), authorization: undefined }, access)).toBe(false);
    expect(acceptsNext({ ca: pem('old') + pem('new'), authorization }, access)).toBe(true);
    expect(acceptsNext({ ca: pem('new'), authorization }, access)).toBe(true);
  });
});

describe('registries that are kept in step', () => {
  const [a, b] = [digestOf('a'), digestOf('b')];
  const tag = tagLink('web', 'v1');

  it('are asked for contents, links and tags; other files are nobody’s business', () => {
    const listing = parseListing([
      `file ${blobFile(a)}`,
      `file ${layerLink('library/web', a)}`,
      'file repositories/../../etc/passwd',
      'file blobs/some thing',
      `since ${tag} 1700000000.5000000000`,
      `tag ${tag} ${a}`,
      'tag repositories/x/_manifests/tags/t/current/link nonsense',
    ]);
    expect([...listing.files]).toEqual([blobFile(a), layerLink('library/web', a)]);
    expect([...listing.tags]).toEqual([[tag, { digest: a, since: '1700000000.5000000000' }]]);
  });

  it('get what they lack; of a tag that stands for two images the later one counts', () => {
    const first: StorageListing = { files: new Set(['x', 'y']), tags: new Map([[tag, { digest: a, since: '10.5' }]]) };
    const second: StorageListing = { files: new Set(['y']), tags: new Map([[tag, { digest: b, since: '9.75' }]]) };
    expect(lacksOf(['1', '2'], new Map(Object.entries({ 1: first, 2: second })))).toEqual([
      { target: '2', files: new Map([['1', ['x']]]), tags: new Map([[tag, { digest: a, since: '10.5' }]]) },
    ]);
  });

  it('have all the same afterwards, whatever each had before', () => {
    const listing = fc.record({
      files: fc.uniqueArray(fc.constantFrom('f1', 'f2', 'f3', 'f4', 'f5')),
      tags: fc.dictionary(
        fc.constantFrom('t1', 't2'),
        fc.record({ digest: fc.constantFrom('a', 'b'), since: fc.constantFrom('1', '2', '3') }),
      ),
    });
    fc.assert(
      fc.property(fc.array(listing, { minLength: 1, maxLength: 4 }), (made) => {
        const hosts = new Map<number, StorageListing>(
          made.map(({ files, tags }, index) => [
            index,
            { files: new Set<string>(files), tags: new Map(Object.entries(tags)) },
          ]),
        );
        const targets = [...hosts.keys()];
        const after = new Map(hosts);
        for (const { target, files, tags } of lacksOf(targets, hosts)) {
          for (const [source, paths] of files)
            for (const path of paths) expect(hosts.get(source)?.files.has(path)).toBe(true);
          const own = hosts.get(target);
          after.set(target, {
            files: new Set([...(own?.files ?? []), ...[...files.values()].flat()]),
            tags: new Map([...(own?.tags ?? []), ...tags]),
          });
        }
        expect(lacksOf(targets, after)).toEqual([]);
      }),
    );
  });
});

describe('images that were pushed', () => {
  const ROOT = 'registry/docker/registry/v2/';
  const [base, app, manifest, other] = ['base', 'app', 'manifest', 'other'].map((text) => digestOf(text));
  if (base === undefined || app === undefined || manifest === undefined || other === undefined) throw new Error();
  const listing = (paths: readonly string[]): HostListing =>
    new Map(
      paths.map((path) => [
        ROOT + path,
        { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 1, mtime: 0, linkTarget: '' },
      ]),
    );
  const ofImage = [
    ...[base, manifest, other].map(blobFile),
    layerLink('library/web', base),
    revisionLink('library/web', manifest),
    tagLink('library/web', '1'),
    tagIndexLink('library/web', '1', manifest),
    layerLink('library/db', other),
  ];
  const pushed = [layerLink('library/web', app), tagLink('library/web', '2'), blobFile(app)];
  const toc = new Map(ofImage.map((path) => [ROOT + path, undefined]));

  it('keep the layers that they share with images which are not brought any more', () => {
    const isNeeded = neededByPushed(listing([...ofImage, ...pushed]), toc);
    expect(ofImage.filter((path) => isNeeded(ROOT + path))).toEqual([
      blobFile(base),
      blobFile(manifest),
      layerLink('library/web', base),
      revisionLink('library/web', manifest),
    ]);
  });

  it('are the only reason to keep anything', () => {
    const isNeeded = neededByPushed(listing(ofImage), toc);
    expect(ofImage.filter((path) => isNeeded(ROOT + path))).toEqual([]);
  });
});
