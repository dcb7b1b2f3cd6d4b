import { isSlipwayError } from '../../base/errors.js';
import { type Chart, readYamlFileOr, subcharts, textOf } from './chart.js';
import { addFound, type Findings, formatPlace } from './found-image.js';
import { isImageTriple, tripleImage } from './image-triple.js';
import { literalImages } from './literal-images.js';
import { looksComplete } from './looks-complete.js';
import { imagesInYaml } from './yaml-images.js';
import { parseYamlTree, splitDocuments, type YamlMap, type YamlTree } from './yaml-tree.js';

/** Charts in charts in charts: Helm has no limit, this has one. */
const DEPTH_LIMIT = 8;
/** Maps that two values files have in common. */
const MERGE_LIMIT = 20_000;

/** Finds the images of what helm rendered. */
export function renderedImages(text: string, chart: Chart, findings: Findings, fromArgs: boolean): void {
  for (const document of splitDocuments(text)) {
    if (!/image/i.test(document.text)) continue;
    // `# Source: web/templates/deployment.yaml`: the chart's name, then the file in it.
    const source = /^# Source: [^/\n]+\/(\S+)$/m.exec(document.text)?.[1];
    const file = source === undefined ? chart.where : `${chart.where}/${source}`;
    const found: Findings = { images: [], warnings: [] };
    let tree: YamlTree | undefined;
    try {
      tree = parseYamlTree(document, `${file} (as helm rendered it)`);
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      findings.warnings.push(error.message);
      continue;
    }
    if (tree !== undefined) imagesInYaml(tree, found, { fromArgs });
    for (const warning of found.warnings) findings.warnings.push(warning);
    // Lines of the output mean nothing to anybody.
    for (const image of found.images) findings.images.push({ ...image, place: { file, what: image.place.what } });
  }
}

/**
 * Finds what can be known of a chart's images without rendering it: the images that its values name (subcharts' too, those that
 * a condition turns off left out), and lines of templates that say an image outright.
 * @param overrides what values files next to the chart say, later ones win.
 */
export async function scannedImages(chart: Chart, findings: Findings, overrides: readonly YamlMap[]): Promise<void> {
  const given = overrides.reduce<YamlTree | undefined>(merge, undefined);
  await scan(chart, given, undefined, 0);

  async function scan(
    current: Chart,
    given: YamlTree | undefined,
    outerGlobal: YamlTree | undefined,
    depth: number,
  ): Promise<void> {
    if (depth > DEPTH_LIMIT) {
      findings.warnings.push(`${current.where}: charts are nested more than ${DEPTH_LIMIT} deep: it is not looked at`);
      return;
    }
    const warn = (line: string): void => {
      findings.warnings.push(line);
    };
    const own = readYamlFileOr(current.files.get('values.yaml'), `${current.where}/values.yaml`, warn);
    const values = merge(own, given);
    const map = values?.kind === 'map' ? values : undefined;
    const global = merge(map?.entries.get('global'), outerGlobal);
    const globalRegistry = global?.kind === 'map' ? textOf(global, 'imageRegistry') : undefined;
    const inner = await subcharts(current);
    if (map !== undefined) {
      const skip = new Set(inner.map(({ name }) => name));
      for (const { name, alias } of current.dependencies) skip.add(alias ?? name);
      valueImages(map, findings, { chart: current, globalRegistry, skip });
    }
    for (const [path, bytes] of [...current.files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!/^templates\/.*\.(?:ya?ml|json|tpl)$/.test(path)) continue;
      literalImages(bytes.toString('utf8'), `${current.where}/${path}`, findings);
    }
    for (const sub of inner) {
      const entries = current.dependencies.filter(({ name }) => name === sub.name);
      const uses = entries.length === 0 ? [{ name: sub.name, alias: undefined, condition: undefined }] : entries;
      for (const { name, alias, condition } of uses) {
        if (map !== undefined && isOff(map, condition)) continue;
        await scan(sub, map?.entries.get(alias ?? name), global, depth + 1);
      }
    }
  }
}

interface ValueContext {
  readonly chart: Chart;
  readonly globalRegistry: string | undefined;
  /** Values of subcharts, which are looked at with their own. */
  readonly skip: ReadonlySet<string>;
}

function valueImages(root: YamlMap, findings: Findings, { chart, globalRegistry, skip }: ValueContext): void {
  const seen = new Set<YamlTree>();
  const visit = (tree: YamlTree, key: string, path: string): void => {
    if (tree.kind === 'scalar' || seen.has(tree)) return;
    seen.add(tree);
    if (tree.kind === 'list') {
      for (const [index, item] of tree.items.entries()) visit(item, key, `${path}[${index}]`);
      return;
    }
    if (isImageTriple(tree, key)) {
      tripleImage(tree, findings, { what: `values: ${path}`, appVersion: chart.appVersion, globalRegistry });
      return;
    }
    for (const [name, value] of tree.entries) {
      const below = path === '' ? name : `${path}.${name}`;
      if (path === '' && skip.has(name)) continue;
      if (value.kind !== 'scalar') visit(value, name, below);
      else if (/^image$|Image$/.test(name) && typeof value.value === 'string') valueImage(tree, value.value, below);
    }
  };
  /** `image: web` with `tag: "1.2"` beside it, or a name that is complete. */
  const valueImage = (map: YamlMap, text: string, path: string): void => {
    const value = map.entries.get(path.slice(path.lastIndexOf('.') + 1));
    if (value === undefined || text.trim() === '') return;
    const tag = textOf(map, 'imageTag') ?? textOf(map, 'tag');
    const tagged = /:[^/]+$/.test(text) || text.includes('@');
    const place = { ...value.place, what: `values: ${path}` };
    if (!tagged && tag !== undefined) addFound(findings, `${text}:${tag}`, place);
    else if (looksComplete(text)) addFound(findings, text, place);
    else if (/^[\w.-]+(?::[\w.-]+)?$/.test(text))
      findings.warnings.push(
        `${formatPlace(place)}: ${place.what}: ${JSON.stringify(text)} may be an image: name it in an image list if it is wanted`,
      );
  };
  visit(root, '', '');
}

/** The first of the paths in a condition that has a boolean decides. */
function isOff(values: YamlMap, condition: string | undefined): boolean {
  for (const path of (condition ?? '').split(',')) {
    let at: YamlTree | undefined = values;
    for (const part of path.trim().split('.')) at = at?.kind === 'map' ? at.entries.get(part) : undefined;
    if (at?.kind === 'scalar' && typeof at.value === 'boolean') return !at.value;
  }
  return false;
}

/** Values as Helm lays them upon each other: maps are merged, anything else replaces, null removes. */
function merge(base: YamlTree | undefined, over: YamlTree | undefined): YamlTree | undefined {
  // Aliases may make a map hold itself: two such maps have no end.
  let left = MERGE_LIMIT;
  const lay = (below: YamlTree | undefined, above: YamlTree): YamlTree => {
    if (below?.kind !== 'map' || above.kind !== 'map' || --left < 0) return above;
    const entries = new Map(below.entries);
    for (const [key, value] of above.entries) {
      if (value.kind === 'scalar' && value.value === null) entries.delete(key);
      else entries.set(key, lay(entries.get(key), value));
    }
    return { ...below, entries };
  };
  return over === undefined ? base : lay(base, over);
}
