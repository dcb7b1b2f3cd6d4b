import { mkdir } from 'node:fs/promises';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { formatBytes } from '../../base/format.js';
import { METADATA_PATH, parseMetadata } from '../../image/metadata.js';
import type { Store } from '../../store/store.js';
import { type Chart, chartFrom, readYamlFile } from './chart.js';
import { CHART_FILE_LIMIT, CHART_LIMIT, type ChartFiles, readChartArchive } from './chart-files.js';
import { renderedImages, scannedImages } from './chart-images.js';
import { emptyFindings, type Findings } from './found-image.js';
import type { Helm } from './helm.js';
import { parseImageList } from './image-list.js';
import { literalImages } from './literal-images.js';
import { fileAt, filesBelow, namesIn, type Rootfs, type RootfsFile, readRootfsFiles } from './rootfs-files.js';
import { imagesInYaml } from './yaml-images.js';
import { parseYamlTree, splitDocuments, type YamlTree } from './yaml-tree.js';

/** How charts are looked into: with helm where there is one, without it, or not at all. */
export const CHART_MODES = ['auto', 'scan', 'ignore'] as const;
export type ChartMode = (typeof CHART_MODES)[number];

export interface SearchOptions {
  /** Also what looks like an image in arguments and environment variables. */
  readonly fromArgs: boolean;
  readonly charts: ChartMode;
  /** Undefined when this machine has none, or it is not to be used. */
  readonly helm: Helm | undefined;
  readonly signal: AbortSignal;
}

/** The files of a rootfs that may name images. */
export interface Sources {
  readonly lists: readonly RootfsFile[];
  readonly manifests: readonly RootfsFile[];
  readonly charts: readonly ChartSource[];
  /** Metadata, which says the version of Kubernetes that charts are rendered for. */
  readonly metadata: RootfsFile | undefined;
}

export interface ChartSource {
  /** `charts/web`, `charts/web-1.2.3.tgz`. */
  readonly where: string;
  /** An archive alone, or the files of a directory. */
  readonly files: readonly RootfsFile[];
  readonly packed: boolean;
  /** `NAME.values.yaml` files next to it that may be its, by name. */
  readonly overrides: readonly RootfsFile[];
}

/** Directories whose files are applied to the cluster; `application` is where sealer puts applications. */
const MANIFEST_DIRS = ['manifests', 'charts', 'application'];
/** Bytes of a list or a manifest. */
const FILE_LIMIT = 16 * 1024 * 1024;
/** Places of a whole rootfs that ask for images. */
const PLACES_LIMIT = 200_000;
const MANIFEST = /\.(?:ya?ml|json)(?:\.(?:tmpl|tpl|gotmpl|in))?$|\.tmpl$/i;
const VALUES = /\.values\.ya?ml$/i;
const ARCHIVE = /\.(?:tgz|tar\.gz)$/i;

/**
 * Finds the files of a rootfs that name images: image lists (`imageList`, in any capitals, at the root and in `manifests/`; sealer's
 * `COPY ImageList manifests` makes a list of `manifests` itself where there is no such directory), manifests, and charts.
 * @param home the directory of the image that is the rootfs; `''` for the image's root.
 */
export function imageSources({ tree }: Pick<Rootfs, 'tree'>, home: string): Sources {
  const at = (path: string): string => (home === '' ? path : `${home}/${path}`);
  const lists = [home, at('manifests')].flatMap((dir) =>
    namesIn(tree, dir)
      .filter((name) => name.toLowerCase() === 'imagelist')
      .flatMap((name) => fileAt(tree, dir === '' ? name : `${dir}/${name}`) ?? []),
  );
  const asFile = fileAt(tree, at('manifests'));
  if (asFile !== undefined) lists.push(asFile);
  const manifests: RootfsFile[] = [];
  const charts: ChartSource[] = [];
  for (const name of MANIFEST_DIRS) {
    const files = [...filesBelow(tree, at(name))];
    const found = chartsAmong(files);
    charts.push(...found.charts);
    manifests.push(...found.others.filter(({ path }) => MANIFEST.test(path) && !VALUES.test(path)));
  }
  return { lists, manifests, charts, metadata: fileAt(tree, at(METADATA_PATH)) };
}

function chartsAmong(files: readonly RootfsFile[]): { charts: ChartSource[]; others: RootfsFile[] } {
  const homes = files
    .filter(({ path }) => path.endsWith('/Chart.yaml'))
    .map(({ path }) => path.slice(0, -'/Chart.yaml'.length))
    .sort((a, b) => a.length - b.length);
  const outermost = new Set<string>();
  for (const dir of homes) if (ancestor(dir, outermost) === undefined) outermost.add(dir);
  const inside = new Map<string, RootfsFile[]>();
  const others: RootfsFile[] = [];
  for (const file of files) {
    const dir = ancestor(file.path, outermost);
    if (dir === undefined) others.push(file);
    else {
      const own = inside.get(dir);
      if (own === undefined) inside.set(dir, [file]);
      else own.push(file);
    }
  }
  const values = others.filter(({ path }) => VALUES.test(path));
  const charts = [...inside].map(
    ([where, own]): ChartSource => ({ where, files: own, packed: false, overrides: beside(where, values) }),
  );
  for (const file of others) {
    if (ARCHIVE.test(file.path))
      charts.push({ where: file.path, files: [file], packed: true, overrides: beside(file.path, values) });
  }
  return { charts: charts.sort((a, b) => (a.where < b.where ? -1 : 1)), others };
}

/** The directory of the set that a path is in, or is. */
function ancestor(path: string, set: ReadonlySet<string>): string | undefined {
  for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (set.has(path.slice(0, end))) return path.slice(0, end);
  }
  return undefined;
}

function beside(where: string, values: readonly RootfsFile[]): RootfsFile[] {
  const dir = where.slice(0, where.lastIndexOf('/') + 1);
  return values.filter(({ path }) => path.startsWith(dir) && !path.slice(dir.length).includes('/'));
}

/** Reads the sources and finds every image that they name. @throws SlipwayError for a bad list, or a chart that helm cannot render. */
export async function searchSources(
  store: Store,
  rootfs: Rootfs,
  sources: Sources,
  options: SearchOptions,
): Promise<Findings> {
  const findings = emptyFindings();
  const limited = (files: readonly RootfsFile[], limit: number): RootfsFile[] =>
    files.filter(({ path, size }) => {
      if (size <= limit) return true;
      findings.warnings.push(
        `${path} has ${formatBytes(size)}: files over ${formatBytes(limit)} are not searched for images; name its images in an image list`,
      );
      return false;
    });
  for (const file of sources.lists) {
    if (file.size > FILE_LIMIT)
      throw new SlipwayError('E_UNSUPPORTED', `the image list ${file.path} has ${formatBytes(file.size)}`, {
        hint: 'an image list has one name a line',
      });
  }
  for (const [file, bytes] of await sorted(store, rootfs, sources.lists))
    add(findings, { images: parseImageList(bytes.toString('utf8'), file.path), warnings: [] });

  const perFile = new Map<string, Findings>();
  for await (const { file, bytes } of readRootfsFiles(store, rootfs, limited(sources.manifests, FILE_LIMIT))) {
    options.signal.throwIfAborted();
    const own = emptyFindings();
    manifestImages(bytes.toString('utf8'), file.path, own, options.fromArgs);
    if (own.images.length + own.warnings.length > 0) perFile.set(file.path, own);
  }
  for (const [, own] of [...perFile].sort(([a], [b]) => (a < b ? -1 : 1))) add(findings, own);

  if (options.charts === 'ignore' || sources.charts.length === 0) return findings;
  const kubeVersion = await kubernetesVersion(store, rootfs, sources);
  const scanned: string[] = [];
  for (const source of sources.charts) {
    options.signal.throwIfAborted();
    const own = emptyFindings();
    const chart = await readChart(store, rootfs, source, findings);
    if (chart === undefined || chart.library) continue;
    const overrides = await sorted(store, rootfs, limited(overridesOf(source, chart), CHART_FILE_LIMIT));
    if (options.charts === 'auto' && options.helm !== undefined) {
      const { renderChart } = await import('./helm.js');
      const workspace = await store.temp.path('chart');
      await mkdir(workspace, { mode: 0o700 });
      const values = overrides.map(([, bytes]) => bytes);
      const { where, name, files } = chart;
      const request = { files, where, name, values, kubeVersion, workspace, signal: options.signal };
      renderedImages(await renderChart(options.helm, request), chart, own, options.fromArgs);
    } else {
      scanned.push(chart.where);
      const values = overrides.flatMap(([file, bytes]) => readYamlFile(bytes, file.path) ?? []);
      await scannedImages(chart, own, values);
    }
    add(findings, own);
  }
  if (scanned.length > 0 && options.charts === 'auto')
    findings.warnings.push(
      `there is no helm on PATH: ${scanned.join(', ')} ${scanned.length === 1 ? 'was' : 'were'} read without rendering, by values and plain lines; install helm, or check what was found and name the rest in an image list`,
    );
  return findings;
}

/** The images of one file of manifests. What is no YAML is searched line by line, with a warning where that may miss something. */
export function manifestImages(text: string, file: string, findings: Findings, fromArgs: boolean): void {
  // In JSON a tab is a blank like any other; YAML forbids it before a value.
  const clean = /\.json/i.test(file) ? text.replace(/^\t+/gm, (tabs) => ' '.repeat(tabs.length)) : text;
  for (const document of splitDocuments(clean)) {
    // Most documents name no image: they need not be parsed.
    if (!/image|container|repository/i.test(document.text)) continue;
    let tree: YamlTree | undefined;
    try {
      tree = parseYamlTree(document, file);
    } catch (error) {
      if (!isSlipwayError(error, 'E_UNSUPPORTED')) throw error;
      const open = literalImages(document.text, file, findings, { firstLine: document.line });
      const template = document.text.includes('{{') || /\.(?:tmpl|tpl|gotmpl|in)$/i.test(file);
      if (!template)
        findings.warnings.push(`${error.message}; only its lines of the form "image: NAME" were looked at`);
      else if (open > 0)
        findings.warnings.push(
          `${file}:${document.line}: a template makes ${open === 1 ? 'an image' : `${open} images`} here: name ${open === 1 ? 'it' : 'them'} in an image list`,
        );
      continue;
    }
    if (tree !== undefined) imagesInYaml(tree, findings, { fromArgs });
  }
}

async function readChart(
  store: Store,
  rootfs: Rootfs,
  { where, files, packed }: ChartSource,
  findings: Findings,
): Promise<Chart | undefined> {
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const skip = (why: string): undefined => {
    findings.warnings.push(`${where}: ${why}: it was not searched for images`);
    return undefined;
  };
  if (total > CHART_LIMIT || (!packed && files.some(({ size }) => size > CHART_FILE_LIMIT)))
    return skip(`a chart with ${formatBytes(total)}, or with a file over ${formatBytes(CHART_FILE_LIMIT)}`);
  try {
    const read = new Map<string, Buffer>();
    for await (const { file, bytes } of readRootfsFiles(store, rootfs, files))
      read.set(file.path.slice(where.length + 1), bytes);
    const unpacked: ChartFiles | undefined = packed
      ? await readChartArchive(read.get('') ?? Buffer.alloc(0), where)
      : read;
    if (unpacked !== undefined) return chartFrom(unpacked, where);
    // Any archive may lie in manifests/; in charts/ it was meant to be one.
    return where.includes('charts/') ? skip('no chart, for it has no Chart.yaml') : undefined;
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    return skip(error.message.startsWith(`${where}: `) ? error.message.slice(where.length + 2) : error.message);
  }
}

/** `web.values.yaml` for the chart web, `web-1.2.3.values.yaml` for web-1.2.3.tgz: the more exact one is the later. */
function overridesOf({ where, overrides }: ChartSource, { name }: Chart): RootfsFile[] {
  const dir = where.slice(0, where.lastIndexOf('/') + 1);
  const base = where.slice(dir.length).replace(ARCHIVE, '');
  return [...new Set([name, base])].flatMap((stem) =>
    overrides.filter(({ path }) => path.slice(dir.length).replace(VALUES, '') === stem),
  );
}

async function kubernetesVersion(store: Store, rootfs: Rootfs, { metadata }: Sources): Promise<string | undefined> {
  if (metadata === undefined || metadata.size > FILE_LIMIT) return undefined;
  for await (const { file, bytes } of readRootfsFiles(store, rootfs, [metadata])) {
    try {
      const { version } = parseMetadata(bytes.toString('utf8'), file.path);
      return version === undefined || !/^v?\d+\.\d+/.test(version) ? undefined : version;
    } catch {
      return undefined; // the end of the build says what is wrong with it
    }
  }
  return undefined;
}

async function sorted(store: Store, rootfs: Rootfs, files: readonly RootfsFile[]): Promise<[RootfsFile, Buffer][]> {
  const read = new Map<string, Buffer>();
  for await (const { file, bytes } of readRootfsFiles(store, rootfs, files)) read.set(file.path, bytes);
  return files.flatMap((file) => {
    const bytes = read.get(file.path);
    return bytes === undefined ? [] : [[file, bytes]];
  });
}

function add(to: Findings, { images, warnings }: Findings): void {
  if (to.images.length + to.warnings.length + images.length + warnings.length > PLACES_LIMIT)
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `the rootfs asks for container images in more than ${PLACES_LIMIT} places`,
      {
        hint: 'manifests/, charts/ or application/ hold something that does not belong there',
      },
    );
  for (const image of images) to.images.push(image);
  for (const warning of warnings) to.warnings.push(warning);
}
