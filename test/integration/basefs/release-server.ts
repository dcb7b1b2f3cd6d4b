import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Versions of the pretended releases; given to fetch.sh in the environment. */
export const VERSIONS = {
  KUBERNETES_VERSION: 'v1.30.14',
  CONTAINERD_VERSION: 'v1.7.27',
  RUNC_VERSION: 'v1.2.6',
  CNI_PLUGINS_VERSION: 'v1.5.1',
  CRICTL_VERSION: 'v1.30.1',
  REGISTRY_VERSION: 'v2.8.3',
  FLANNEL_VERSION: 'v0.25.6',
} as const;

const KUBEADM = `#!/bin/sh
[ "$1 $2 $3 $4" = "config images list --kubernetes-version" ] || exit 1
for c in kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do echo "registry.k8s.io/$c:$5"; done
echo registry.k8s.io/coredns/coredns:v1.11.3
echo registry.k8s.io/pause:3.9
echo registry.k8s.io/etcd:3.5.15-0
`;

const FLANNEL = `kind: ConfigMap
data:
  net-conf.json: |
    { "Network": "10.244.0.0/16" }
---
kind: DaemonSet
spec:
  template:
    spec:
      initContainers:
        - name: install-cni-plugin
          image: docker.io/flannel/flannel-cni-plugin:v1.5.1-flannel2
        - name: install-cni
          image: docker.io/flannel/flannel:v0.25.6
      containers:
        - name: kube-flannel
          image: docker.io/flannel/flannel:v0.25.6
`;

export interface ReleaseServer {
  readonly url: string;
  readonly port: number;
  /** Path → content; tests change it. */
  readonly files: Map<string, Buffer>;
  /** Every request so far: `GET /path` and its Range. A proxy request has an absolute URL. */
  readonly requests: { readonly url: string; readonly range: string | undefined }[];
  /** Break the connection half-way through this path, this many times more. */
  readonly breaks: Map<string, number>;
  /** Called when half of a file that is to be held back has been sent; the rest never comes. */
  hold: { readonly path: string; readonly reached: () => void } | undefined;
  close(): Promise<void>;
}

/** Serves releases with the paths of dl.k8s.io and github.com: tiny programs with right checksum files. */
export async function startReleaseServer(): Promise<ReleaseServer> {
  const files = new Map<string, Buffer>();
  for (const arch of ['amd64', 'arm64']) await addReleases(files, arch);
  const requests: { url: string; range: string | undefined }[] = [];
  const breaks = new Map<string, number>();
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const releases: ReleaseServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    files,
    requests,
    breaks,
    hold: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return releases;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '/';
    const range = request.headers.range;
    requests.push({ url, range });
    const path = url.startsWith('http') ? new URL(url).pathname : url;
    const content = files.get(path);
    if (content === undefined) {
      response.writeHead(404).end();
      return;
    }
    const from = range === undefined ? 0 : Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
    if (from >= content.length) {
      response.writeHead(416).end();
      return;
    }
    const body = content.subarray(from);
    response.writeHead(range === undefined ? 200 : 206, {
      'content-length': body.length,
      ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    const left = breaks.get(path) ?? 0;
    if (left > 0) {
      breaks.set(path, left - 1);
      response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.socket?.destroy());
    } else if (releases.hold?.path === path) {
      const { reached } = releases.hold;
      response.write(body.subarray(0, Math.floor(body.length / 2)), reached);
    } else {
      response.end(body);
    }
  }
}

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** Kubernetes' own programs, of one version. */
export function addKubernetes(files: Map<string, Buffer>, version: string, arch: string): void {
  const contents = {
    kubeadm: Buffer.from(KUBEADM),
    kubelet: program('kubelet', arch),
    kubectl: program('kubectl', arch),
  };
  for (const [name, content] of Object.entries(contents)) {
    const path = `/release/${version}/bin/linux/${arch}/${name}`;
    files.set(path, content);
    files.set(`${path}.sha256`, Buffer.from(sha256(content)));
  }
}

/** Big enough to be broken in the middle. */
export function program(name: string, arch: string): Buffer {
  return Buffer.from(`#!/bin/sh\necho ${name} ${arch}\n${'# filler\n'.repeat(20_000)}`);
}

async function addReleases(files: Map<string, Buffer>, arch: string): Promise<void> {
  const add = (path: string, content: Buffer, checksumSuffix: string, form: 'bare' | 'named'): void => {
    files.set(path, content);
    const name = path.slice(path.lastIndexOf('/') + 1);
    const sums = form === 'bare' ? sha256(content) : `${sha256(content)}  ${name}\n`;
    files.set(`${path}${checksumSuffix}`, Buffer.from(sums));
  };
  const { KUBERNETES_VERSION, CONTAINERD_VERSION, RUNC_VERSION } = VERSIONS;
  addKubernetes(files, KUBERNETES_VERSION, arch);
  const containerd = CONTAINERD_VERSION.slice(1);
  add(
    `/containerd/containerd/releases/download/v${containerd}/containerd-static-${containerd}-linux-${arch}.tar.gz`,
    await tarGz({
      'bin/containerd': 'containerd',
      'bin/ctr': 'ctr',
      'bin/containerd-shim-runc-v2': 'shim',
      'bin/containerd-stress': 'not wanted',
    }),
    '.sha256sum',
    'named',
  );
  const runc = `/opencontainers/runc/releases/download/${RUNC_VERSION}`;
  files.set(`${runc}/runc.${arch}`, program('runc', arch));
  const other = sha256(Buffer.from('other'));
  const list = ['runc.amd64', 'runc.arm64'].map((name) => {
    const content = files.get(`${runc}/${name}`);
    return `${content === undefined ? other : sha256(content)} *${name}\n`;
  });
  files.set(`${runc}/runc.sha256sum`, Buffer.from(`${other}  runc.tar.xz\n${list.join('')}`));
  const crictl = VERSIONS.CRICTL_VERSION;
  add(
    `/kubernetes-sigs/cri-tools/releases/download/${crictl}/crictl-${crictl}-linux-${arch}.tar.gz`,
    await tarGz({ crictl: 'crictl' }),
    '.sha256',
    'bare',
  );
  const registry = VERSIONS.REGISTRY_VERSION.slice(1);
  add(
    `/distribution/distribution/releases/download/v${registry}/registry_${registry}_linux_${arch}.tar.gz`,
    await tarGz({ LICENSE: 'text', registry: 'registry' }),
    '.sha256',
    'named',
  );
  const cni = VERSIONS.CNI_PLUGINS_VERSION;
  add(
    `/containernetworking/plugins/releases/download/${cni}/cni-plugins-linux-${arch}-${cni}.tgz`,
    await tarGz({
      './bridge': 'bridge',
      './host-local': 'host-local',
      './loopback': 'loopback',
      './README.md': 'text',
    }),
    '.sha256',
    'named',
  );
  files.set(`/flannel-io/flannel/releases/download/${VERSIONS.FLANNEL_VERSION}/kube-flannel.yml`, Buffer.from(FLANNEL));
}

export async function tarGz(members: Readonly<Record<string, string>>): Promise<Buffer> {
  const directory = await mkdtemp(join(tmpdir(), 'slipway-release-'));
  try {
    for (const [name, content] of Object.entries(members)) {
      const path = join(directory, 'tree', name);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${content}\n`);
      await chmod(path, 0o755);
    }
    await run('tar', ['-czf', join(directory, 'out.tar.gz'), '-C', join(directory, 'tree'), '.']);
    return await readFile(join(directory, 'out.tar.gz'));
  } finally {
    await rm(directory, { recursive: true });
  }
}
