import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { parseReference, type Reference } from '../../image/reference.js';

/** Ways to name a place, as skopeo writes them; `store` is ours. */
export const TRANSPORTS = ['docker', 'oci', 'oci-archive', 'docker-archive', 'store'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** A place that an image can be copied from or to. */
export type Place =
  | { readonly transport: 'docker'; readonly text: string; readonly reference: Reference }
  /** `name` is undefined where that of the other side is meant. */
  | { readonly transport: 'store'; readonly text: string; readonly name: string | undefined }
  | {
      readonly transport: 'oci' | 'oci-archive' | 'docker-archive';
      readonly text: string;
      readonly path: string;
      /** Undefined for the only image there is, or for the name of the other side. */
      readonly name: string | undefined;
    };

/** What other programs have, and what takes its place. */
const FOREIGN: Readonly<Record<string, string>> = {
  dir: 'oci:DIR is a directory that any tool reads',
  'docker-daemon': 'docker save NAME | slipway load, and slipway save --format docker-archive NAME | docker load',
  'containers-storage': 'podman push NAME oci:DIR, and podman pull oci:DIR',
  'oci-dir': 'it is called oci:DIR',
  ostree: '',
  sif: '',
  tarball: '',
  atomic: '',
};

const FORMS =
  'docker://NAME, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], or a NAME of the store';

/**
 * Reads `TRANSPORT:DETAIL`, or a bare name for the local store.
 * @throws SlipwayError E_USAGE that says what was probably meant, E_INVALID_REFERENCE.
 */
export function parsePlace(text: string): Place {
  const colon = text.indexOf(':');
  const word = colon < 0 ? '' : text.slice(0, colon);
  const detail = text.slice(colon + 1);
  switch (word) {
    case 'docker':
      return dockerPlace(text, detail);
    case 'store':
      return { transport: 'store', text, name: detail === '' ? undefined : checked(detail) };
    case 'oci':
    case 'oci-archive':
    case 'docker-archive':
      return filePlace(word, text, detail);
  }
  checkTransport(text, word, detail);
  return { transport: 'store', text, name: checked(text) };
}

function dockerPlace(text: string, detail: string): Place {
  if (detail.startsWith('//')) {
    const name = detail.slice(2);
    if (name === '')
      throw new SlipwayError('E_USAGE', `${text}: the name is missing`, { hint: 'docker://host/name:tag' });
    return { transport: 'docker', text, reference: parseReference(name) };
  }
  throw new SlipwayError('E_USAGE', `${text}: a registry is named docker://${detail || 'NAME'}`, {
    hint: `an image of the store with this name is store:${text}`,
  });
}

/** skopeo's rule: the path ends at the first colon, what follows is the name. */
function filePlace(transport: 'oci' | 'oci-archive' | 'docker-archive', text: string, detail: string): Place {
  const colon = detail.indexOf(':');
  const path = colon < 0 ? detail : detail.slice(0, colon);
  const name = colon < 0 ? undefined : detail.slice(colon + 1);
  if (path === '') {
    const what = transport === 'oci' ? 'directory' : 'file';
    throw new SlipwayError('E_USAGE', `${text}: the ${what} is missing`, { hint: `${transport}:PATH[:NAME]` });
  }
  if (name === '') throw new SlipwayError('E_USAGE', `${text}: the name is empty`, { hint: 'leave the colon away' });
  return { transport, text, path, name };
}

/** What looks like a transport and is none must not become a name in the store. */
function checkTransport(text: string, word: string, detail: string): void {
  if (!/^[a-z][a-z0-9+-]*$/i.test(word)) return;
  const own = `an image of the store with this name is store:${text}`;
  const foreign = FOREIGN[word];
  if (foreign !== undefined) {
    throw new SlipwayError('E_USAGE', `${text}: there is no transport ${word}`, { hint: foreign || FORMS });
  }
  if (/^\d+\//.test(detail)) return; // `registry:5000/x`: a port
  const near = suggest(word, TRANSPORTS);
  // A tag cannot begin like this.
  const isPath = /^(?:[/.~]|$)/.test(detail);
  if (near === undefined && !isPath) return;
  const meant = near === 'docker' ? `docker://${detail.replace(/^\/+/, '')}` : `${near}:${detail}`;
  throw new SlipwayError('E_USAGE', `${text}: there is no transport ${word}`, {
    hint: near === undefined ? `write ${FORMS}` : `did you mean ${meant}?${isPath ? '' : ` ${own}`}`,
  });
}

function checked(name: string): string {
  // the beginning of an id is a name too
  if (!/^(?:sha256:)?[a-f0-9]{4,64}$/.test(name)) parseReference(name);
  return name;
}
