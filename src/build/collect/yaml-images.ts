import { argumentImages, environmentImages } from './argument-images.js';
import { addFound, type Findings, formatPlace, isTemplate } from './found-image.js';
import { isImageTriple, tripleImage } from './image-triple.js';
import { looksComplete } from './looks-complete.js';
import type { YamlList, YamlMap, YamlTree } from './yaml-tree.js';

export interface YamlImageOptions {
  /** Also what looks like an image in arguments and environment variables. */
  readonly fromArgs: boolean;
}

/** Where in an object the walk is. */
interface Spot {
  /** `Deployment web`; empty outside of objects. */
  readonly object: string;
  readonly kind: string;
  /** `spec.containers[0]`. */
  readonly path: string;
  /** The key that leads here. */
  readonly key: string;
}

/** `container: {image: …}` (Argo), `containers:`, `initContainers:`, `ephemeralContainers:`, `sidecarContainers:` … */
const CONTAINER_KEY = /container(?:s|Templates?)?$/i;
/** What only containers have beside their image. */
const CONTAINER_FIELDS = [
  'imagePullPolicy',
  'command',
  'args',
  'env',
  'envFrom',
  'ports',
  'resources',
  'volumeMounts',
  'securityContext',
];
/** Below these an `image` is no container image: a disk of Ceph, the description of a field. */
const OTHER_IMAGES = new Set(['rbd', 'openAPIV3Schema']);

/**
 * Finds the container images of a YAML document: pod specs wherever they are (workloads, lists, templates in custom resources), anything
 * shaped like a container, image volumes, other `image:` values that are complete names, and repository/tag/digest maps. Each place of the
 * text counts once, however many aliases lead to it.
 */
export function imagesInYaml(
  root: YamlTree,
  findings: Findings,
  options: YamlImageOptions,
  prefix?: string | undefined,
): void {
  const seen = new Set<YamlTree>();
  visit(root, { object: prefix ?? '', kind: '', path: '', key: '' });

  function visit(tree: YamlTree, spot: Spot): void {
    if (tree.kind === 'scalar' || seen.has(tree)) return;
    seen.add(tree);
    if (tree.kind === 'list') visitList(tree, spot);
    else visitMap(tree, spot);
  }

  function visitList({ items }: YamlList, spot: Spot): void {
    for (const [index, item] of items.entries()) visit(item, { ...spot, path: `${spot.path}[${index}]` });
  }

  function visitMap(map: YamlMap, outer: Spot): void {
    const spot = objectSpot(map, outer, prefix);
    if (isImageTriple(map, spot.key)) tripleImage(map, findings, { what: describe(spot) });
    else namedImages(map, spot);
    for (const [key, value] of map.entries) {
      if (OTHER_IMAGES.has(key)) continue;
      // What a ConfigMap holds is data for programs: only they know which of it are images.
      if ((spot.kind === 'ConfigMap' || spot.kind === 'Secret') && /^(?:data|stringData|binaryData)$/.test(key))
        continue;
      const below = { ...spot, key, path: spot.path === '' ? key : `${spot.path}.${key}` };
      if (options.fromArgs && value.kind === 'list') {
        if (key === 'args' || key === 'command') argumentImages(value, findings, describe(below));
        if (key === 'env') environmentImages(value, findings, describe(below));
      }
      visit(value, below);
    }
  }

  function namedImages(map: YamlMap, spot: Spot): void {
    const container = isContainer(map, spot.key);
    for (const [key, value] of map.entries) {
      if (!/^image$|Image$/.test(key)) continue;
      const what = describe({ ...spot, path: spot.path === '' ? key : `${spot.path}.${key}` });
      if (value.kind === 'map') {
        // Image volumes: volumes[].image.reference (Kubernetes 1.31)
        const reference = value.entries.get('reference');
        if (reference?.kind === 'scalar' && typeof reference.value === 'string' && reference.value !== '')
          addFound(findings, reference.value, { ...reference.place, what: `${what}.reference` });
        continue;
      }
      if (value.kind !== 'scalar' || typeof value.value !== 'string' || value.value.trim() === '') continue;
      const text = value.value.trim();
      const place = { ...value.place, what };
      if (key === 'image' && container) addFound(findings, text, place);
      else if (looksComplete(text)) addFound(findings, text, place);
      else if (key === 'image' && isTemplate(text))
        findings.warnings.push(
          `${formatPlace(place)}: ${what}: ${JSON.stringify(text)} is made by a template: if it is a container image, name it in an image list`,
        );
    }
  }
}

function isContainer(map: YamlMap, key: string): boolean {
  return (
    CONTAINER_KEY.test(key) ||
    (map.entries.get('name')?.kind === 'scalar' && !map.entries.has('kind')) ||
    CONTAINER_FIELDS.some((field) => map.entries.has(field))
  );
}

/** A map with apiVersion and kind is an object of its own, also inside a List. */
function objectSpot(map: YamlMap, outer: Spot, prefix: string | undefined): Spot {
  const kind = map.entries.get('kind');
  if (kind?.kind !== 'scalar' || typeof kind.value !== 'string' || !map.entries.has('apiVersion')) return outer;
  const metadata = map.entries.get('metadata');
  const name = metadata?.kind === 'map' ? metadata.entries.get('name') : undefined;
  const named = name?.kind === 'scalar' && typeof name.value === 'string' ? `${kind.value} ${name.value}` : kind.value;
  return { ...outer, kind: kind.value, object: prefix === undefined ? named : `${prefix}: ${named}`, path: '' };
}

function describe({ object, path }: Spot): string {
  return [object, path].filter((part) => part !== '').join(', ');
}
