import { addFound, type Findings, formatPlace } from './found-image.js';
import type { YamlMap, YamlScalar } from './yaml-tree.js';

/** What the chart around a triple decides. */
export interface TripleContext {
  readonly what: string;
  /** Chart.yaml's appVersion: what charts use where no tag is given (the template of `helm create`). */
  readonly appVersion?: string | undefined;
  /** `global.imageRegistry`: it comes before the registry of each image (a habit of many charts). */
  readonly globalRegistry?: string | undefined;
}

/**
 * Whether a map names an image in parts, as Helm values do: `{registry, repository, tag, digest}`. A `repository` alone may as well be a git or
 * chart repository: it needs a key that speaks of images, or a tag, digest or pull policy beside it.
 */
export function isImageTriple({ entries }: YamlMap, key: string): boolean {
  const repository = entries.get('repository') ?? entries.get('name');
  if (repository?.kind !== 'scalar' || typeof repository.value !== 'string' || repository.value === '') return false;
  if (/^[a-z+]+:\/\//i.test(repository.value) || /^git@/.test(repository.value)) return false;
  const beside = ['tag', 'digest', 'sha'].some((name) => entries.has(name));
  const spoken = /image$/i.test(key);
  return entries.has('repository') ? beside || spoken || entries.has('pullPolicy') : spoken && beside;
}

/** Puts the parts of {@link isImageTriple} together and adds the image. */
export function tripleImage(
  { entries, place: start }: YamlMap,
  findings: Findings,
  { what, appVersion, globalRegistry }: TripleContext,
): void {
  const text = (name: string): string => {
    const value = entries.get(name);
    return value?.kind === 'scalar' && value.value !== null && value.value !== undefined ? String(value.value) : '';
  };
  const source = (entries.get('repository') ?? entries.get('name')) as YamlScalar;
  const repository = text('repository') || text('name');
  const registry = globalRegistry || text('registry');
  const given = text('tag');
  const hash = text('digest') || text('sha');
  const digest = hash === '' || hash.includes(':') ? hash : `sha256:${hash}`;
  const tagged = /:[^/]+$/.test(repository) || repository.includes('@');
  const tag = given || (digest === '' && !tagged ? (appVersion ?? '') : '');
  const place = { ...source.place, what: given === '' && tag !== '' ? `${what}, tag from appVersion` : what };
  if (tag === '' && digest === '' && !tagged) {
    findings.warnings.push(
      `${formatPlace(start)}: ${what}: ${repository} has no tag: name the image in an image list if it is wanted`,
    );
    return;
  }
  const name = `${registry === '' ? '' : `${registry.replace(/\/+$/, '')}/`}${repository}`;
  addFound(findings, `${name}${tag === '' ? '' : `:${tag}`}${digest === '' ? '' : `@${digest}`}`, place);
}
