import semver from 'semver';
import { SlipwayError } from '../base/errors.js';

/** Where applications are in a rootfs, each in a directory of its name. sealer: pkg/rootfs. */
export const APPLICATIONS_DIR = 'application/apps';

/** How an application is started when it does not say so itself. sealer: pkg/define/application. */
export const APPLICATION_TYPES = ['helm', 'kube', 'shell'] as const;
export type ApplicationType = (typeof APPLICATION_TYPES)[number];

/** What of an application says how it is started. */
export interface Startable {
  readonly name: string;
  readonly type?: string | undefined;
  readonly files?: readonly string[] | undefined;
  readonly cmds?: readonly string[] | undefined;
}

/** Labels that the instructions of applications make. sealer: build/kubefile/command. */
export const CNI_LABEL = 'cluster.alpha.sealer.io/kube-cni-';
export const CSI_LABEL = 'cluster.alpha.sealer.io/kube-csi-';
export const KUBE_VERSION_LABEL = 'app.alpha.sealer.io/supported-kube-version';

/** A name that can be a directory, a file name on every system, and a word of a command. */
const NAME = /^[A-Za-z0-9][\w.-]{0,127}$/;

export function isApplicationName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Applications of a stranger's image: their names become paths.
 * @throws SlipwayError E_INVALID_MANIFEST
 */
export function checkApplicationNames<A extends Pick<Startable, 'name'>>(
  applications: readonly A[],
  image: string,
): readonly A[] {
  const bad = applications.find(({ name }) => !isApplicationName(name));
  if (bad === undefined) return applications;
  throw new SlipwayError(
    'E_INVALID_MANIFEST',
    `${image} has an application ${JSON.stringify(bad.name.slice(0, 100))}, which is no name`,
    { hint: `it would be the directory ${JSON.stringify(applicationDir(bad.name).slice(0, 100))}` },
  );
}

/** The directory of an application in the rootfs, relative, without a slash at its end. */
export function applicationDir(name: string): string {
  return `${APPLICATIONS_DIR}/${name}`;
}

/** The name of the application that a path of the rootfs belongs to; undefined when it belongs to none. */
export function applicationAt(path: string): string | undefined {
  return /^application\/apps\/([^/]+)(?:\/|$)/.exec(path)?.[1];
}

/** What the labels of an image say an application is besides. */
export function applicationRoles(name: string, labels: Readonly<Record<string, string>>): readonly ('CNI' | 'CSI')[] {
  return [
    ...(labels[CNI_LABEL + name] === undefined ? [] : (['CNI'] as const)),
    ...(labels[CSI_LABEL + name] === undefined ? [] : (['CSI'] as const)),
  ];
}

/**
 * The commands that start an application, for a shell in its directory: its own, else those of its type. Files come in the order of the
 * image. A chart is upgraded when it is there already, so that the command can be repeated.
 * @returns an empty list when there is nothing that could be started.
 */
export function startCommands({ name, type, files = [], cmds = [] }: Startable): readonly string[] {
  if (cmds.length > 0) return cmds;
  const paths = files.map((file) => shellWord(file.replace(/^\/+/, '')));
  switch (type) {
    case 'helm':
      return [`helm upgrade --install ${shellWord(name)} .`];
    case 'kube':
      return paths.length === 0 ? [] : [paths.map((path) => `kubectl apply -f ${path}`).join(' && ')];
    case 'shell':
      return paths.map((path) => `bash ${path}`);
    default:
      return [];
  }
}

/** What `build` finds out for a directory with a `kustomization.yaml`. */
export const KUSTOMIZE_COMMAND = 'kubectl apply -k .';
const DELETE = 'kubectl delete --ignore-not-found --timeout=5m';

/**
 * The commands that take away what {@link startCommands} has started, last things first, for a shell in the same directory; each can be
 * repeated.
 * @returns undefined when nothing says how: of scripts, and of commands of its own, only the author knows.
 */
export function deleteCommands({ name, type, files = [], cmds = [] }: Startable): readonly string[] | undefined {
  if (cmds.length > 0) return cmds.length === 1 && cmds[0] === KUSTOMIZE_COMMAND ? [`${DELETE} -k .`] : undefined;
  const release = shellWord(name);
  switch (type) {
    case 'helm':
      return [`! helm status ${release} >/dev/null 2>&1 || helm uninstall ${release}`];
    case 'kube':
      return files.map((file) => `${DELETE} -f ${shellWord(file.replace(/^\/+/, ''))}`).reverse();
    default:
      return undefined;
  }
}

/**
 * The commands that an APPCMDS array means. sealer puts a blank between its parts and runs one line; that is done for single words
 * (`["helm", "install", "web", "."]`) and for parts that only make sense together (one begins or ends with an operator, or begins with
 * an option). Otherwise every part is a command.
 */
export function appCommands(parts: readonly string[]): readonly string[] {
  const several = parts.some((part) => /\s/.test(part.trim())) && !parts.some(needsNeighbour);
  return several ? parts : [parts.join(' ')];
}

function needsNeighbour(part: string): boolean {
  return part.trim() === '' || /^\s*(?:-|&&|\|\|?|;|&|>|<)|(?:&&|\|\|?|;|\\)\s*$/.test(part);
}

/** One line that does what several commands do, ending at the first that fails. */
export function oneCommand(commands: readonly string[]): string {
  // Each keeps its own shell where it could change what comes after it, or swallow it.
  const safe = (command: string): string =>
    /[#;&|\n\\]|^\s*(?:exit|exec|cd|set)\b/.test(command) ? `(${command}\n)` : command;
  const [only, second] = commands;
  return only !== undefined && second === undefined ? only : commands.map(safe).join(' && ');
}

/**
 * Reads a constraint on the version of Kubernetes: `>=1.24 <1.30`, `>= 1.24, < 1.30`, `1.24 - 1.29`, `~1.28 || 1.30.x`.
 * @returns it as node-semver writes it.
 * @throws SlipwayError E_INVALID_REFERENCE
 */
export function kubeVersionRange(constraint: string): string {
  const range = readRange(constraint);
  if (range !== undefined) return range;
  throw new SlipwayError(
    'E_INVALID_REFERENCE',
    `${JSON.stringify(constraint)} is not a constraint on the version of Kubernetes`,
    { hint: 'write it like ">=1.24 <1.30", "~1.28" or "1.24 - 1.29"' },
  );
}

/** Whether {@link kubeVersionRange} can read a constraint. */
export function isKubeVersionRange(constraint: string): boolean {
  return readRange(constraint) !== undefined;
}

function readRange(constraint: string): string | undefined {
  if (constraint.trim() === '') return undefined;
  // The comma is how Go's semver libraries, which sealer's users know, say "and".
  return semver.validRange(constraint.replaceAll(',', ' ').replace(/=([<>])/g, '$1=')) ?? undefined;
}

/** Whether a version of Kubernetes (`v1.29.2`, `v1.29.2+k3s1`, `v1.30.0-rc.1`) meets a constraint. @throws as {@link kubeVersionRange} */
export function allowsKubeVersion(constraint: string, version: string): boolean {
  return semver.satisfies(version, kubeVersionRange(constraint), { includePrerelease: true });
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
