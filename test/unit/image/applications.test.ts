import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import {
  allowsKubeVersion,
  appCommands,
  isApplicationName,
  kubeVersionRange,
  oneCommand,
  startCommands,
} from '../../../src/image/applications.js';
import {
  type ClusterImageExtension,
  EXTENSION_ANNOTATION,
  readClusterImage,
  writeClusterImage,
} from '../../../src/image/cluster-image.js';
import { digestOf } from '../../../src/image/digest.js';
import { type Manifest, parseImageDocument } from '../../../src/image/oci.js';
import { SEALER_MANIFEST } from './sealer-manifest.js';

const manifest = (annotations: Record<string, string>): Manifest => ({
  schemaVersion: 2,
  config: { mediaType: 'x', digest: digestOf(''), size: 0 },
  layers: [],
  annotations,
});
const read = (extension: unknown): ClusterImageExtension => {
  const info = readClusterImage(manifest({ [EXTENSION_ANNOTATION]: JSON.stringify(extension) }), 'app:v1');
  if (info === undefined) throw new Error('not a ClusterImage');
  return info.extension;
};
const written = (extension: ClusterImageExtension): Record<string, unknown> =>
  JSON.parse(writeClusterImage({ extension, containerImages: [] })[EXTENSION_ANNOTATION] ?? '') as Record<
    string,
    unknown
  >;
const EMPTY = { schemaVersion: 'v1alpha1', type: 'kube-installer', labels: {}, env: {} };

describe('an image that sealer built', () => {
  const document = parseImageDocument(Buffer.from(SEALER_MANIFEST), undefined, 'sealer');
  const info = document.kind === 'manifest' ? readClusterImage(document.manifest, 'sealer') : undefined;

  it('is read: applications, their files, variables and commands, launch, container images', () => {
    expect(info?.extension).toMatchObject({
      type: 'app-installer',
      env: { globalKey: 'globalValue' },
      applications: [
        { name: 'yamlapp', type: 'kube', files: ['/a.yaml', '/sub/b.yaml'], version: 'v1' },
        { name: 'chart', type: 'helm', files: ['chart'], env: { replicas: '3' } },
        { name: 'mixedapp', version: 'v1', cmds: ['kubectl apply -f app.yaml'] },
      ],
      launch: { cmds: [], app_names: ['mixedapp', 'yamlapp', 'chart'] },
      buildClient: { sealerVersion: 'v0.10.0' },
    });
    expect(info?.containerImages).toEqual([
      {
        image: 'docker.io/library/nginx:1.25',
        appName: 'yamlapp',
        platform: { architecture: 'amd64', os: 'linux' },
      },
      { image: 'docker.io/library/busybox:1.36', platform: { architecture: 'amd64', os: 'linux' } },
    ]);
  });

  it('is started as sealer starts it', () => {
    expect(info?.extension.applications.map((app) => startCommands(app))).toEqual([
      ['kubectl apply -f a.yaml && kubectl apply -f sub/b.yaml'],
      ['helm upgrade --install chart .'],
      ['kubectl apply -f app.yaml'],
    ]);
  });

  it('may leave out, or write as null, everything that is empty', () => {
    expect(read({ buildClient: { sealerVersion: '' }, schemaVersion: 'v1alpha1' })).toMatchObject({
      type: 'kube-installer',
      applications: [],
      launch: { cmds: [], app_names: [] },
    });
    const nothing = { ...EMPTY, applications: null, labels: null, env: null, launch: { cmds: null, app_names: null } };
    expect(read(nothing)).toMatchObject({ applications: [], labels: {}, env: {}, launch: { cmds: [], app_names: [] } });
    expect(read({ ...EMPTY, applications: [{ name: 'a', files: null, env: null, cmds: null }] }).applications).toEqual([
      { name: 'a' },
    ]);
    expect(() => read({ ...EMPTY, applications: [{ type: 'kube' }] })).toThrow(/applications/);
    expect(() => read({ ...EMPTY, launch: { cmds: 'kubectl' } })).toThrow(/launch/);
  });

  it('runs its commands and nothing else when it has some', () => {
    expect(read({ ...EMPTY, launch: { cmds: ['a'], app_names: ['web'] } }).launch).toEqual({
      cmds: ['a'],
      app_names: [],
    });
  });
});

describe('an image that sealer is to read', () => {
  const web = { name: 'web', type: 'kube', files: ['a.yaml'], version: 'v1' };

  it('has no empty list of commands: sealer would run it instead of the applications', () => {
    const launch = { cmds: [], app_names: ['web'] };
    expect(written({ ...EMPTY, applications: [web], launch })).toMatchObject({ launch: { app_names: ['web'] } });
    expect(JSON.stringify(written({ ...EMPTY, applications: [web], launch }))).not.toContain('"cmds"');
    expect(written({ ...EMPTY, applications: [], launch: { cmds: ['x'], app_names: [] } }).launch).toEqual({
      cmds: ['x'],
    });
  });

  it('has the commands of a base and the applications after them in the one list that sealer runs', () => {
    const cmds = ['bash scripts/apply-cni.sh'];
    const tool = { name: 'tool', version: 'v1', cmds: ['helm repo list; true', 'kubectl get nodes'] };
    const extension = { ...EMPTY, applications: [web, tool], launch: { cmds, app_names: ['web', 'tool'] } };
    const { launch, applications } = written(extension) as {
      launch: { cmds: string[] };
      applications: { cmds?: string[] }[];
    };
    expect(launch.cmds).toEqual([
      'bash scripts/apply-cni.sh',
      'cd application/apps/web && kubectl apply -f a.yaml',
      'cd application/apps/tool && (helm repo list; true\n) && kubectl get nodes',
    ]);
    expect(applications[1]?.cmds).toEqual(['(helm repo list; true\n) && kubectl get nodes']);
    expect(read(written(extension))).toEqual(extension);
  });

  it('comes back as it was written, whatever it launches', () => {
    const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => text.trim() !== '');
    const app = fc.record({ name: word, cmds: fc.array(word, { minLength: 1, maxLength: 3 }) });
    fc.assert(
      fc.property(fc.array(app, { maxLength: 3 }), fc.array(word, { maxLength: 3 }), (applications, cmds) => {
        const names = applications.map(({ name }) => name);
        const extension = { ...EMPTY, applications, launch: { cmds, app_names: names } };
        expect(read(written(extension))).toEqual(extension);
      }),
    );
  });
});

describe('APPCMDS', () => {
  it.each<[string[], string[]]>([
    [['kubectl apply -f app.yaml'], ['kubectl apply -f app.yaml']],
    [['helm', 'install', 'web', '.'], ['helm install web .']],
    [
      ['kubectl apply -f a.yaml', 'kubectl apply -f b.yaml'],
      ['kubectl apply -f a.yaml', 'kubectl apply -f b.yaml'],
    ],
    [
      ['./prepare.sh', 'kubectl apply -f .'],
      ['./prepare.sh', 'kubectl apply -f .'],
    ],
    [['kubectl apply -f a.yaml', '&&', 'kubectl get pods'], ['kubectl apply -f a.yaml && kubectl get pods']],
    [['export A=1 &&', 'bash x.sh'], ['export A=1 && bash x.sh']],
    [['kubectl apply', '-f a.yaml'], ['kubectl apply -f a.yaml']],
  ])('%j means %j', (parts, expected) => {
    expect(appCommands(parts)).toEqual(expected);
  });

  it('are one line for sealer, where each keeps its own shell', () => {
    expect(oneCommand(['a'])).toBe('a');
    expect(oneCommand(['a b', 'c # d', 'exit 0'])).toBe('a b && (c # d\n) && (exit 0\n)');
  });
});

describe('starting an application', () => {
  it.each([
    [
      { name: 'web', type: 'kube', files: ["/it's here.yaml", 'b.yml'] },
      ["kubectl apply -f 'it'\\''s here.yaml' && kubectl apply -f b.yml"],
    ],
    [{ name: 'sh', type: 'shell', files: ['a.sh', '/b.sh'] }, ['bash a.sh', 'bash b.sh']],
    [{ name: 'sh', type: 'shell', files: ['a.sh'], cmds: ['./a.sh now'] }, ['./a.sh now']],
    [{ name: 'x', type: 'unknown', files: ['a'] }, []],
    [{ name: 'x', type: 'kube' }, []],
  ])('%j', (app, expected) => {
    expect(startCommands(app)).toEqual(expected);
  });

  it('has a name that is a safe path', () => {
    for (const name of ['web', 'My_app-1.2', '0']) expect(isApplicationName(name)).toBe(true);
    for (const name of ['', '.', '..', '../x', 'a/b', '-x', '.hidden', 'a b', 'a\n', 'ä', 'x'.repeat(129)])
      expect(isApplicationName(name)).toBe(false);
  });
});

describe('KUBEVERSION', () => {
  it.each([
    ['>=1.24 <1.30', 'v1.29.2', true],
    ['>= 1.24, < 1.30', 'v1.30.0', false],
    ['=>1.18,=<1.22.9', 'v1.22.9', true],
    ['1.24 - 1.29', 'v1.29.14', true],
    ['~1.28 || 1.30.x', 'v1.29.0', false],
    ['>=v1.19.8', 'v1.19.8+k3s1', true],
    ['^1.20', 'v1.21.0-rc.1', true],
    ['v1.20.2', 'v1.20.2', true],
    ['*', 'v1.20.2', true],
  ])('%s and %s: %s', (constraint, version, expected) => {
    expect(allowsKubeVersion(constraint, version)).toBe(expected);
  });

  it.each(['', '  ', 'new', '>=1.24 or so', '!=1.25.0'])('%j is refused', (constraint) => {
    try {
      kubeVersionRange(constraint);
      expect.unreachable();
    } catch (error) {
      expect(isSlipwayError(error, 'E_INVALID_REFERENCE')).toBe(true);
    }
  });
});
