import { realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { parseReference, registryAddress } from '../../image/reference.js';
import type { Place } from './place.js';

/** @throws SlipwayError E_USAGE when source and destination are the same. */
export async function checkDifferent(from: Place, to: Place): Promise<void> {
  const [source, target] = [await identity(from), await identity(withName(to, from))];
  if (source !== target) return;
  throw new SlipwayError('E_USAGE', `source and destination are the same: ${to.text}`, {
    hint: isArchive(from) ? 'an archive is written anew: name another file' : 'there is nothing to copy',
  });
}

/** A destination without a name gets that of the source. */
function withName(to: Place, from: Place): Place {
  if (to.transport === 'store' && from.transport === 'store') return { ...to, name: to.name ?? from.name };
  if (to.transport === 'oci' && from.transport === 'oci') return { ...to, name: to.name ?? from.name };
  return to;
}

function isArchive({ transport }: Place): boolean {
  return transport === 'oci-archive' || transport === 'docker-archive';
}

/** Equal for places that are one, however they are written. An archive is one place, whatever image of it is meant. */
async function identity(place: Place): Promise<string> {
  switch (place.transport) {
    case 'docker': {
      const { host, repository } = registryAddress(place.reference);
      return `docker ${host}/${repository} ${place.reference.digest ?? place.reference.tag}`;
    }
    case 'store':
      return `store ${place.name === undefined ? '' : storeName(place.name)}`;
    case 'oci':
      return `layout ${await realPath(place.path)} ${place.name ?? ''}`;
    default:
      return `file ${place.path === '-' ? place.text : await realPath(place.path)}`;
  }
}

function storeName(text: string): string {
  return text.startsWith('sha256:') ? text : parseReference(text).name;
}

/** Also of what is not there yet. */
async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  const found = await realpath(whole).catch(() => undefined);
  if (found !== undefined) return found;
  const parent = await realpath(dirname(whole)).catch(() => dirname(whole));
  return join(parent, basename(whole));
}
