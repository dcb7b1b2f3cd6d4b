import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { silentReporter } from '../../../../src/base/reporter.js';
import type { RegistryOptions } from '../../../../src/registry/options.js';
import { type CopyBetweenOptions, copyBetween } from '../../../../src/registry/places/copy-between.js';
import type { CopiedImage } from '../../../../src/registry/places/copy-image.js';
import { parsePlace } from '../../../../src/registry/places/place.js';
import type { Store } from '../../../../src/store/store.js';
import { must } from './programs.js';

export interface CopyOptions extends Partial<CopyBetweenOptions> {
  readonly in?: Store;
  readonly from?: RegistryOptions;
  readonly to?: RegistryOptions;
}

/** Copies as the command does. A store is only there when one is given. */
export function copy(source: string, destination: string, options: CopyOptions = {}): Promise<CopiedImage> {
  const { in: store, from = {}, to = {}, ...rest } = options;
  return copyBetween(parsePlace(source), parsePlace(destination), {
    sourceRegistry: async () => ({ retryDelay: 1, ...from }),
    targetRegistry: async () => ({ retryDelay: 1, ...to }),
    store: async () => {
      if (store === undefined) throw new Error('nobody needs a store for this');
      return store;
    },
    reporter: silentReporter,
    ...rest,
  });
}

/** `skopeo copy` with registries that speak http. */
export async function skopeoCopy(source: string, destination: string, ...flags: string[]): Promise<void> {
  await must('skopeo', [
    'copy',
    '-q',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    ...flags,
    source,
    destination,
  ]);
}

export interface Seen {
  /** Of the manifest or index, computed here from what skopeo shows. */
  readonly digest: string;
  readonly document: {
    readonly mediaType?: string;
    readonly layers?: { digest: string }[];
    readonly manifests?: unknown[];
  };
}

/** What skopeo finds at a place. */
export async function skopeoSees(place: string): Promise<Seen> {
  const flags = place.startsWith('docker://') ? ['--tls-verify=false'] : [];
  const raw = await must('skopeo', ['inspect', '--raw', ...flags, place]);
  return { digest: `sha256:${createHash('sha256').update(raw).digest('hex')}`, document: JSON.parse(raw) };
}

/** The config of an image as skopeo finds it, byte for byte. */
export function skopeoConfig(place: string): Promise<string> {
  const flags = place.startsWith('docker://') ? ['--tls-verify=false'] : [];
  return must('skopeo', ['inspect', '--raw', '--config', ...flags, place]);
}

/** Lets skopeo read everything at a place; it compares all digests. */
export async function skopeoReadsAll(place: string, dir: string, ...flags: string[]): Promise<void> {
  await skopeoCopy(place, `dir:${join(dir, `read-${Math.random().toString(36).slice(2)}`)}`, ...flags);
}
