import { describe, expect, it } from 'vitest';
import { printDescription } from '../../../src/cli/inspect-text.js';
import type { Output } from '../../../src/cli/output.js';
import { sha256Digest } from '../../../src/image/digest.js';
import type { ImageDescription } from '../../../src/store/describe.js';

const K8S: ImageDescription = {
  name: 'k8s:v1',
  digest: sha256Digest('a'.repeat(64)),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  type: 'kube-installer',
  platform: { os: 'linux', architecture: 'amd64' },
  platforms: [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64' },
  ],
  created: '2026-01-02T03:04:05Z',
  size: 205e6,
  content: { rootfs: 302e6, registry: 104e6 },
  metadata: {
    version: 'v1.30.14',
    arch: 'amd64',
    variant: '',
    kubeVersion: '',
    NydusFlag: false,
    ClusterRuntime: 'k8s',
  },
  labels: {
    'cluster.alpha.sealer.io/cluster-runtime-type': 'kubernetes',
    'cluster.alpha.sealer.io/cluster-runtime-version': 'v1.30.14',
    'app.alpha.sealer.io/supported-kube-version': '>=1.24',
    team: 'plant',
  },
  env: [],
  process: { entrypoint: null, cmd: null, user: '', workingDir: '/', exposedPorts: [], volumes: [] },
  launch: { cmds: ['bash scripts/apply-cni.sh', 'kubectl apply -f a.yaml'], apps: ['web'] },
  applications: [{ name: 'web', type: 'kube', files: ['a.yaml'], env: { N: '1' } }],
  containerImages: [{ image: 'registry.k8s.io/pause:3.9' }, { image: 'docker.io/library/web:1', appName: 'web' }],
  layers: [],
};

/** The lines above the table of layers. */
function text(image: Partial<ImageDescription>): string {
  const lines: string[] = [];
  const out: Output = {
    line: (line = '') => lines.push(line),
    verbatim: (line) => lines.push(line),
    json: () => lines.push('json'),
    table: () => undefined,
  };
  printDescription(out, { ...K8S, ...image });
  return lines.join('\n');
}

describe('what inspect says of an image', () => {
  it('is what an operator asks before a launch, and leaves out what is empty or said already', () => {
    expect(text({})).toBe(`Name:         k8s:v1
Digest:       ${K8S.digest}
Type:         kube-installer, for "slipway run"
Runtime:      Kubernetes v1.30.14, by kubeadm
Needs:        Kubernetes >=1.24
Platform:     linux/amd64 (also there: linux/arm64; see --platform)
Created:      2026-01-02T03:04:05Z
Size:         205MB to download; 302MB on every host, 104MB more where the registry is
Launch:       bash scripts/apply-cni.sh
              kubectl apply -f a.yaml
Starts:       the application web
Applications: web kube, env N: kubectl apply -f a.yaml
Labels:       team=plant
Images:       2 carried in registry/:
                registry.k8s.io/pause:3.9
                docker.io/library/web:1 (web)
`);
  });

  it('names the other runtimes by their own versions', () => {
    expect(text({ metadata: { version: 'v1.31.14+k0s.0', ClusterRuntime: 'k0s' } })).toMatch(
      /^Runtime: +k0s v1\.31\.14\+k0s\.0$/m,
    );
    expect(text({ metadata: { version: 'v1.30.4+k3s1', ClusterRuntime: 'k3s' } })).toMatch(
      /^Runtime: +k3s v1\.30\.4\+k3s1$/m,
    );
    expect(text({ metadata: { arch: 'amd64' } })).toMatch(
      /^Runtime: +Kubernetes \(Metadata says no version\), by kubeadm$/m,
    );
    expect(text({ metadata: null })).toMatch(/^Runtime: +not known: the image has no Metadata$/m);
  });

  it('says that nothing is launched, and nothing carried', () => {
    const bare = text({ launch: { cmds: [], apps: [] }, containerImages: [], content: { rootfs: 5, registry: 0 } });
    expect(bare).toMatch(/^Launch: +nothing: the cluster alone$/m);
    expect(bare).toMatch(/^Images: +none are carried$/m);
    expect(bare).toMatch(/; 5B on every host$/m);
  });

  it('shows of Metadata what no other line says, and what contradicts', () => {
    const metadata = { ...K8S.metadata, arch: 'arm64', kubeVersion: '>=1.24.0', NydusFlag: true, site: 'harbour' };
    expect(text({ metadata })).toMatch(
      /^Metadata: +arch=arm64 {2}NydusFlag=true {2}kubeVersion=>=1\.24\.0 {2}site=harbour$/m,
    );
  });

  it('says what an application image and an ordinary image are for', () => {
    const app = text({
      type: 'app-installer',
      metadata: null,
      launch: { cmds: [], apps: ['web'] },
      containerImages: [],
    });
    expect(app).toMatch(/^Type: +app-installer, for "slipway run-app"$/m);
    expect(app).toMatch(/^Size: +205MB to download, 406MB unpacked$/m);
    expect(app).not.toMatch(/^(Runtime|Launch|Images):/m);
    const process = { ...K8S.process, entrypoint: ['/web'] };
    const image = text({ type: 'image', metadata: null, labels: {}, launch: { cmds: [], apps: [] }, process });
    expect(image).toMatch(/^Type: +image$/m);
    expect(image).toMatch(/^Entrypoint: +\["\/web"\]$/m);
  });
});
