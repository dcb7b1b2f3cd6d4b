import { formatBytes } from '../base/format.js';
import { applicationRoles, KUBE_VERSION_LABEL, startCommands } from '../image/applications.js';
import { type Application, LABELS } from '../image/cluster-image.js';
import { clusterRuntimeOf } from '../image/metadata.js';
import { formatPlatform } from '../image/platform.js';
import type { ImageDescription } from '../store/describe.js';
import { type Output, printable } from './output.js';

/** What a person does with an image of this type. */
const USES: Readonly<Record<string, string>> = { 'kube-installer': 'slipway run', 'app-installer': 'slipway run-app' };

/**
 * The image for a person who is about to use it: first what it installs and for which machines, what it costs and what it starts; what is
 * empty or said already is left out. A program takes the JSON, which has everything.
 */
export function printDescription(out: Output, image: ImageDescription): void {
  const field = (name: string, ...values: readonly string[]): void => {
    for (const [index, value] of values.filter((one) => one !== '').entries())
      out.line((index === 0 ? `${name}:` : '').padEnd(14) + printable(value));
  };
  const use = USES[image.type];
  const constraint = image.labels[KUBE_VERSION_LABEL];
  field('Name', image.name);
  field('Digest', image.digest);
  field('Type', use === undefined ? image.type : `${image.type}, for "${use}"`);
  field('Runtime', runtimeLine(image));
  field('Needs', constraint === undefined ? '' : `Kubernetes ${constraint}`);
  field('Platform', platformLine(image));
  field('Created', image.created ?? '');
  field('Size', sizeLine(image));
  field('Metadata', furtherMetadata(image));
  field('Launch', ...launchLines(image));
  field('Starts', ...image.launch.apps.map((app) => `the application ${app}`));
  field('Applications', ...image.applications.map((app) => applicationLine(app, image.labels)));
  field('Env', ...image.env);
  if (image.type === 'image') {
    const { entrypoint, cmd, user, workingDir, exposedPorts, volumes } = image.process;
    field('Entrypoint', entrypoint === null ? '' : JSON.stringify(entrypoint));
    field('Cmd', cmd === null ? '' : JSON.stringify(cmd));
    field('User', user);
    field('Directory', workingDir);
    field('Ports', exposedPorts.join(' '));
    field('Volumes', volumes.join(' '));
  }
  field('Labels', ...furtherLabels(image));
  field('Images', ...imageLines(image));
  out.line();
  out.table([
    ['LAYER', 'TYPE', 'SIZE', 'UNPACKED', 'FILES', 'DIGEST', 'DIFF ID', 'INSTRUCTION'],
    ...image.layers.map((layer) => [
      String(layer.index),
      layer.type,
      formatBytes(layer.size),
      formatBytes(layer.unpackedSize),
      String(layer.files),
      layer.digest.slice(7, 19),
      layer.diffID.slice(7, 19),
      layer.instruction,
    ]),
  ]);
}

/** `Kubernetes v1.20.2 by kubeadm`, `k3s v1.30.4+k3s1`; nothing where the image installs no cluster. */
function runtimeLine({ type, metadata }: ImageDescription): string {
  if (metadata === null) return type === 'kube-installer' ? 'not known: the image has no Metadata' : '';
  const runtime = clusterRuntimeOf(metadata);
  const version = metadata.version || '(Metadata says no version)';
  return runtime === 'k8s' ? `Kubernetes ${version}, by kubeadm` : `${runtime} ${version}`;
}

/** `linux/amd64 (also there: linux/arm64)` */
function platformLine({ platform, platforms }: ImageDescription): string {
  const shown = formatPlatform(platform);
  const others = platforms.map(formatPlatform).filter((other) => other !== shown);
  return others.length === 0 ? shown : `${shown} (also there: ${others.join(', ')}; see --platform)`;
}

/** `205MB to download; 302MB on every host, 105MB more where the registry is` */
function sizeLine({ type, size, content }: ImageDescription): string {
  const download = `${formatBytes(size)} to download`;
  if (type !== 'kube-installer') return `${download}, ${formatBytes(content.rootfs + content.registry)} unpacked`;
  const registry = content.registry === 0 ? '' : `, ${formatBytes(content.registry)} more where the registry is`;
  return `${download}; ${formatBytes(content.rootfs)} on every host${registry}`;
}

/** What of Metadata the lines above do not say. */
function furtherMetadata({ metadata, platform }: ImageDescription): string {
  const { version: _version, ClusterRuntime: _runtime, arch, NydusFlag, ...rest } = metadata ?? {};
  const shown = {
    ...(arch === platform.architecture ? {} : { arch }),
    ...(NydusFlag === true ? { NydusFlag } : {}),
    ...rest,
  };
  return Object.entries(shown)
    .filter(([, value]) => value !== '' && value !== undefined)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ');
}

function launchLines({ type, launch }: ImageDescription): readonly string[] {
  if (launch.cmds.length > 0 || launch.apps.length > 0 || type !== 'kube-installer') return launch.cmds;
  return ['nothing: the cluster alone'];
}

/** `calico kube, CNI: kubectl apply -f calico.yaml` */
function applicationLine(app: Application, labels: Readonly<Record<string, string>>): string {
  const { name, type, env = {} } = app;
  const names = Object.keys(env);
  const what = [type, ...applicationRoles(name, labels), ...(names.length === 0 ? [] : [`env ${names.join(' ')}`])];
  const commands = startCommands(app);
  return (
    `${name} ${what.filter(Boolean).join(', ')}`.trim() + (commands.length === 0 ? '' : `: ${commands.join('; ')}`)
  );
}

/** All but those that say what stands above in words. */
function furtherLabels({ labels, metadata }: ImageDescription): readonly string[] {
  const said = [KUBE_VERSION_LABEL, ...(metadata === null ? [] : [LABELS.runtimeType, LABELS.runtimeVersion])];
  return Object.entries(labels)
    .filter(([name]) => !said.includes(name))
    .map(([name, value]) => `${name}=${value}`);
}

function imageLines({ type, containerImages }: ImageDescription): readonly string[] {
  if (containerImages.length === 0) return type === 'kube-installer' ? ['none are carried'] : [];
  const names = containerImages.map(({ image, appName }) => (appName ? `${image} (${appName})` : image));
  return [`${containerImages.length} carried in registry/:`, ...names.map((name) => `  ${name}`)];
}
