import { SlipwayError } from '../../base/errors.js';
import { isLoopback } from '../../registry/host.js';

/** Where files of an application come from. */
export type AppSource =
  /** In the build context: a path or a pattern, as COPY takes it. */
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'http'; readonly url: string }
  /** An image or an artifact of a registry. */
  | { readonly kind: 'oci'; readonly name: string }
  /** A chart of a chart repository: one that helm knows by name on this machine, or at a URL. */
  | {
      readonly kind: 'helm';
      readonly repository: { readonly name: string } | { readonly url: string };
      readonly chart: string;
      /** As helm takes it, a constraint too; undefined: the newest. */
      readonly version: string | undefined;
    };

const CHART = /^[A-Za-z0-9][\w.-]*$/;
const VERSION = /^[\w.+~^*<>=|, -]+$/;

/**
 * Reads a source of APP, CNI or CSI, expanded: `local://PATH`, `PATH`, `http(s)://…`, `oci://IMAGE`, `helm://REPOSITORY/CHART[:VERSION]`.
 * @throws SlipwayError E_USAGE
 */
export function parseAppSource(text: string): AppSource {
  const [, scheme = '', rest = text] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(text) ?? [];
  switch (scheme.toLowerCase()) {
    case '':
    case 'local':
      if (rest === '') throw bad(text, 'the path is missing', 'write local://PATH, relative to the build context');
      return { kind: 'local', path: rest };
    case 'http':
    case 'https':
      if (!URL.canParse(text)) throw bad(text, 'this is no URL', 'write https://HOST/PATH/FILE');
      return { kind: 'http', url: text };
    case 'oci':
      if (rest === '') throw bad(text, 'the name is missing', 'write oci://HOST/REPOSITORY:TAG');
      return { kind: 'oci', name: rest };
    case 'helm':
      return parseChart(text, rest);
    default:
      throw bad(text, `${scheme}:// is not known`, 'the schemes are local:// http:// https:// oci:// helm://');
  }
}

function parseChart(text: string, rest: string): AppSource {
  const form =
    'write helm://HOST/PATH/CHART:VERSION, or helm://NAME/CHART:VERSION with a name that "helm repo add" gave';
  const slash = rest.lastIndexOf('/');
  const [place, last] = [rest.slice(0, Math.max(0, slash)), rest.slice(slash + 1)];
  const colon = last.indexOf(':');
  const chart = colon < 0 ? last : last.slice(0, colon);
  const version = colon < 0 ? undefined : last.slice(colon + 1);
  if (place === '' || !CHART.test(chart)) throw bad(text, 'repository and chart are needed', form);
  if (version !== undefined && (!VERSION.test(version) || version.startsWith('-')))
    throw bad(text, `${JSON.stringify(version)} is not a version`, form);
  const [host = ''] = place.split('/');
  if (!/[.:]/.test(host) && host !== 'localhost') {
    if (!CHART.test(place))
      throw bad(text, `${JSON.stringify(place)} is neither a host nor the name of a repository`, form);
    return { kind: 'helm', repository: { name: place }, chart, version };
  }
  const url = `${isLoopback(host) ? 'http' : 'https'}://${place}`;
  if (!URL.canParse(url) || place.includes('@'))
    throw bad(text, `${JSON.stringify(place)} is not a host and a path`, form);
  return { kind: 'helm', repository: { url }, chart, version };
}

function bad(text: string, why: string, hint: string): SlipwayError {
  return new SlipwayError('E_USAGE', `the source ${text}: ${why}`, { hint });
}
