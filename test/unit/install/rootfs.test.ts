import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { clusterVariables, hostVariables } from '../../../src/install/cluster-hosts/host-env.js';
import { imageDocuments } from '../../../src/install/files/install-image.js';
import {
  hostRootfs,
  imageRootfs,
  readRootfsFile,
  renderTemplates,
  totalBytes,
} from '../../../src/install/files/rootfs.js';
import { registryScript, setupScripts } from '../../../src/install/files/script-names.js';
import type { TocEntry } from '../../../src/layers/toc.js';
import type { UnpackedLayer } from '../../../src/store/layer-store.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slipway-rootfs-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

let layers = 0;
/** A layer of these files, unpacked. */
function layer(files: Readonly<Record<string, string>>, more: readonly Partial<TocEntry>[] = []): UnpackedLayer {
  const home = join(dir, String(layers++));
  const common = { mode: 0o644, uid: 0, gid: 0, mtime: 5, offset: 0 };
  const entries = Object.entries(files).map(([path, content]): TocEntry => {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), content);
    return { ...common, path, type: 'file', size: Buffer.byteLength(content), digest: digestOf(content) };
  });
  const others = more.map((entry): TocEntry => ({ ...common, path: '', type: 'file', size: 0, ...entry }));
  return { dir: home, toc: { diffId: digestOf(home), unpackedSize: 0, entries: [...entries, ...others] } };
}
const paths = (entries: readonly { readonly path: string; readonly type: string }[]): string[] =>
  entries.filter(({ type }) => type !== 'dir').map(({ path }) => path);

describe('the rootfs of an image', () => {
  it('is what its layers make together, with contents from the layer that has them', async () => {
    const image = imageRootfs([
      layer({ 'etc/a': 'lower', 'etc/gone': 'x', 'bin/one': 'program' }),
      layer({ 'etc/a': 'upper' }, [
        { path: 'etc/gone', type: 'whiteout' },
        { path: 'bin/two', type: 'hardlink', linkTarget: 'bin/one' },
        { path: 'dev/null', type: 'char', devMajor: 1, devMinor: 3 },
      ]),
    ]);
    expect(paths(image.entries)).toEqual(['bin/one', 'bin/two', 'etc/a']);
    expect((await readRootfsFile(image.entries, 'etc/a'))?.toString()).toBe('upper');
    expect((await readRootfsFile(image.entries, 'bin/two'))?.toString()).toBe('program');
    expect(await readRootfsFile(image.entries, 'etc/none')).toBeUndefined();
    expect(image.skipped).toEqual(['dev/null']);
    expect(totalBytes(image.entries)).toBe('upper'.length + 2 * 'program'.length);
  });

  it('is another one when anything that hosts see is, and the same wherever it is unpacked', () => {
    const digest = (files: Record<string, string>): string => imageRootfs([layer(files)]).digest;
    expect(digest({ a: 'x' })).toBe(digest({ a: 'x' }));
    expect(digest({ a: 'x' })).not.toBe(digest({ a: 'y' }));
    expect(digest({ a: 'x' })).not.toBe(digest({ b: 'x' }));
  });

  it('is not believed when somebody has changed the unpacked layer', async () => {
    const one = layer({ 'etc/a': 'right' });
    writeFileSync(join(one.dir, 'etc/a'), 'wrong');
    await expect(readRootfsFile(imageRootfs([one]).entries, 'etc/a')).rejects.toThrow(
      /is not what the image has at etc\/a/,
    );
  });

  it('goes to a host with its templates rendered, and the registry only where it is served', async () => {
    const image = imageRootfs([
      layer({
        'etc/a.yml.tmpl': 'me {{ .HostIP }}',
        'etc/a.yml': 'default',
        'charts/c/values.yaml.tmpl': '{{ .HostIP }}',
        'scripts/x.tmpl': '{{ .Untouched }}',
        'etc/d/.tmpl': '{{ .Untouched }}',
        'registry/blob': 'big',
      }),
    ]);
    const rendered = await renderTemplates(image, { HostIP: '10.0.0.2' });
    const entries = hostRootfs(image, rendered, false);
    expect(paths(entries)).toEqual([
      'charts/c/values.yaml',
      'charts/c/values.yaml.tmpl',
      'etc/a.yml',
      'etc/a.yml.tmpl',
      'etc/d/.tmpl',
      'scripts/x.tmpl',
    ]);
    expect((await readRootfsFile(entries, 'etc/a.yml'))?.toString()).toBe('me 10.0.0.2');
    expect(paths(hostRootfs(image, rendered, true))).toContain('registry/blob');
    await expect(renderTemplates(image, {})).rejects.toThrow(/tmpl:1: there is no variable HostIP/);
  });

  it('has no template for what is a directory', async () => {
    const image = imageRootfs([layer({ 'etc/conf.tmpl': 'a', 'etc/conf/keep': 'b' })]);
    await expect(renderTemplates(image, {})).rejects.toMatchObject({
      code: 'E_CLUSTERFILE',
      message: 'etc/conf.tmpl of the image makes etc/conf, which is a directory there',
    });
  });

  it('has templates in the directories of applications, each with the variables of its own', async () => {
    const image = imageRootfs([
      layer({
        'application/apps/web/a.yaml.tmpl': 'replicas: {{ .N }}',
        'application/apps/db/deep/b.yaml.tmpl': 'replicas: {{ .N }}',
        'application/apps/db/alert.tmpl': '{{ define "x" }}{{ end }}',
        'application/apps/other.tmpl': '{{ .Untouched }}',
      }),
    ]);
    const warnings: string[] = [];
    const rendered = await renderTemplates(
      image,
      {},
      {
        applications: new Map([
          ['web', { N: '1' }],
          ['db', { N: '2' }],
        ]),
        warn: (warning) => warnings.push(warning),
      },
    );
    expect(rendered.map(({ path, content }) => [path, 'bytes' in content ? String(content.bytes) : ''])).toEqual([
      ['application/apps/db/deep/b.yaml', 'replicas: 2'],
      ['application/apps/web/a.yaml', 'replicas: 1'],
    ]);
    expect(warnings).toEqual([expect.stringMatching(/^application\/apps\/db\/alert\.tmpl:1: .*left as it is$/)]);
  });

  it('may bring documents for its runtime, as a template too', async () => {
    const image = (files: Readonly<Record<string, string>>, name = 'k8s') => ({
      name,
      metadata: {},
      rootfs: imageRootfs([layer(files)]),
    });
    const plain = image({ 'etc/kubeadm.yml': 'kind: A\n---\nkind: B\n---\n', 'etc/k3s.yml': 'kind: K3sConfig\n' });
    expect(await imageDocuments(plain, {})).toEqual([{ kind: 'A' }, { kind: 'B' }]);
    const k3s = { ...plain, metadata: { ClusterRuntime: 'k3s' as const } };
    expect(await imageDocuments(k3s, {})).toEqual([{ kind: 'K3sConfig' }]);
    const template = image({ 'etc/kubeadm.yml.tmpl': 'kind: A\nregistry: {{ .RegistryURL }}\n' });
    expect(await imageDocuments(template, { RegistryURL: 'sea.hub:5000' })).toEqual([
      { kind: 'A', registry: 'sea.hub:5000' },
    ]);
    const broken = image({ 'etc/kubeadm.yml': 'a: [1\n' }, 'k8s:v1');
    await expect(imageDocuments(broken, {})).rejects.toThrow(/etc\/kubeadm\.yml of k8s:v1: .* at line \d+, column \d+/);
    expect(await imageDocuments(image({ x: '' }), {})).toEqual([]);
  });

  it('says by its scripts how it is installed', () => {
    const options = { containerRuntime: 'containerd', domain: 'sea.hub', port: 5000 };
    const names = (files: Record<string, string>): string[] =>
      setupScripts(imageRootfs([layer(files)]).entries, options).map(({ name, args }) => [name, ...args].join(' '));
    expect(names({ 'scripts/init.sh': '', 'scripts/containerd.sh': '' })).toEqual([
      'init.sh /var/lib/containerd sea.hub 5000',
    ]);
    expect(names({ 'scripts/containerd.sh': '', 'scripts/init-kube.sh': '' })).toEqual([
      'containerd.sh /var/lib/containerd sea.hub 5000',
      'init-kube.sh /var/lib/containerd sea.hub 5000',
    ]);
    const registry = (files: Record<string, string>) =>
      registryScript(imageRootfs([layer(files)]).entries, { rootfs: '/r', domain: 'sea.hub', port: 5000 });
    expect(registry({ 'scripts/init-registry.sh': '', 'registry/x': '' })?.args).toEqual([
      '5000',
      '/r/registry',
      'sea.hub',
    ]);
    expect(registry({ 'scripts/init-registry.sh': '' })).toBeUndefined();
  });
});

it('gives scripts the variables that sealer gives them', () => {
  const variables = clusterVariables({
    clusterName: 'prod',
    rootfs: '/var/lib/slipway/data/prod/rootfs',
    containerRuntime: 'containerd',
    registry: { domain: 'sea.hub', port: 5000 },
    networks: { podCIDR: '100.64.0.0/10', serviceCIDR: '10.96.0.0/22' },
  });
  expect(variables).toMatchObject({
    RegistryURL: 'sea.hub:5000',
    LocalRegistryDomain: 'sea.hub',
    SvcCIDR: '10.96.0.0/22',
    KubeSvcIP: '10.96.0.1',
    DNSSvcIP: '10.96.0.10',
  });
  expect(hostVariables('10.0.0.7', 2, { podCIDR: '100.64.0.0/10' })).toEqual({
    HostIP: '10.0.0.7',
    HostIPFamily: '4',
    HostPodCIDR: '100.64.2.0/24',
  });
});
