import { addKubernetes, sha256, tarGz } from './release-server.js';

type Files = Map<string, Buffer>;

const NERDCTL = '/containerd/nerdctl/releases/download/v2.0.5';
const ARCHES = ['amd64', 'arm64'] as const;

/** Lists images as k0s does, and the one of the balancer when the configuration turns it on. */
const K0S = `#!/bin/sh
[ "$1 $2" = "airgap list-images" ] || exit 1
config=\${3#--config=}
grep -q 'name: k0s' "$config" || exit 1
echo quay.io/k0sproject/coredns:1.11.4
echo registry.k8s.io/pause:3.9
echo registry.k8s.io/pause:3.9
if grep -q 'enabled: true, type: EnvoyProxy' "$config"; then echo quay.io/k0sproject/envoy-distroless:v1.31.10; fi
`;

export const K3S_IMAGES = 'docker.io/rancher/mirrored-coredns-coredns:1.10.1\ndocker.io/rancher/mirrored-pause:3.6\n';

/** The directory of a release of k0s on the server. */
export function k0sRelease(version: string): string {
  return `/k0sproject/k0s/releases/download/${version}`;
}

/** The directory of a release of k3s on the server. */
export function k3sRelease(version: string): string {
  return `/k3s-io/k3s/releases/download/${version.replace('+', '%2B')}`;
}

/** What k3s is called there. */
export function k3sAsset(arch: string): string {
  return arch === 'amd64' ? 'k3s' : `k3s-${arch}`;
}

/** k0s, its archive of images, kubectl of its Kubernetes, nerdctl. */
export async function addK0s(files: Files, version: string): Promise<void> {
  const sums: string[] = [];
  const add = (name: string, content: string): void => {
    files.set(`${k0sRelease(version)}/${name}`, Buffer.from(content));
    sums.push(`${sha256(Buffer.from(content))} *${name}`);
  };
  for (const arch of ARCHES) {
    add(`k0s-${version}-${arch}`, `${K0S}# ${arch}\n${'# filler\n'.repeat(20_000)}`);
    add(`k0s-airgap-bundle-${version}-${arch}`, 'an archive');
    addKubernetes(files, version.replace(/\+.*/, ''), arch);
  }
  files.set(`${k0sRelease(version)}/sha256sums.txt`, Buffer.from(`${sums.join('\n')}\n`));
  await addNerdctl(files);
}

/** k3s, its archive of images and its list, nerdctl. */
export async function addK3s(files: Files, version: string): Promise<void> {
  for (const arch of ARCHES) {
    const sums: string[] = [];
    const add = (name: string, content: string): void => {
      files.set(`${k3sRelease(version)}/${name}`, Buffer.from(content));
      sums.push(`${sha256(Buffer.from(content))}  ${name}`);
    };
    add(k3sAsset(arch), `k3s for ${arch}\n${'# filler\n'.repeat(20_000)}`);
    add(`k3s-airgap-images-${arch}.tar.gz`, 'an archive');
    add('k3s-images.txt', K3S_IMAGES);
    files.set(`${k3sRelease(version)}/sha256sum-${arch}.txt`, Buffer.from(`${sums.join('\n')}\n`));
  }
  await addNerdctl(files);
}

async function addNerdctl(files: Files): Promise<void> {
  const archive = await tarGz({ nerdctl: 'nerdctl', 'containerd-rootless.sh': 'not wanted' });
  const names = ARCHES.map((arch) => `nerdctl-2.0.5-linux-${arch}.tar.gz`);
  for (const name of names) files.set(`${NERDCTL}/${name}`, archive);
  files.set(`${NERDCTL}/SHA256SUMS`, Buffer.from(names.map((name) => `${sha256(archive)}  ${name}\n`).join('')));
}
