import * as z from 'zod';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { type Descriptor, descriptorSchema } from '../../image/oci.js';
import { parseReference } from '../../image/reference.js';
import { CONTAINERD_NAME, REF_NAME, SINCE } from './archive-image.js';

/** The documents at the top of an OCI image layout. */
export const LAYOUT_FILES = ['index.json', 'oci-layout'] as const;

const indexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** An image of a layout or an archive. */
export interface FoundImage {
  /** As it is written there; undefined when it has no name. */
  readonly name: string | undefined;
  /** All that it may be called by. */
  readonly names: readonly string[];
  readonly descriptor: Descriptor;
}

/** What `index.json` of a layout says. */
export interface LayoutIndex {
  readonly images: readonly FoundImage[];
  /** Set when content was left out: the images that have it. */
  readonly since: string | undefined;
}

/** @throws SlipwayError E_BAD_ARCHIVE */
export function parseLayoutIndex(bytes: Uint8Array, what: string): LayoutIndex {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${what}: index.json is not valid JSON`, { cause });
  }
  const parsed = indexSchema.safeParse(value);
  if (!parsed.success) throw new SlipwayError('E_BAD_ARCHIVE', `${what}: index.json: ${zodProblems(parsed.error)}`);
  const { manifests, annotations = {} } = parsed.data;
  return {
    images: manifests.map(({ annotations: own = {}, ...descriptor }) => {
      const { [REF_NAME]: ref, [CONTAINERD_NAME]: full, ...others } = own;
      const rest = Object.keys(others).length === 0 ? {} : { annotations: others };
      const ordered = ref !== undefined && /[:/@]/.test(ref) ? [ref, full] : [full, ref];
      const names = ordered.flatMap((name) => (name === undefined || name === '' ? [] : [name]));
      return { name: names[0], names, descriptor: { ...descriptor, ...rest } };
    }),
    since: annotations[SINCE],
  };
}

/**
 * The name in the store for the image of an archive. Tools disagree on what `ref.name` is: we and skopeo write a whole name, docker and nerdctl
 * the tag alone with the whole name in containerd's annotation; and it may be any text.
 * @returns undefined when none of its names can be one.
 */
export function storeName({ names }: Pick<FoundImage, 'names'>): string | undefined {
  for (const candidate of names) {
    if (isTagAlone(candidate)) continue;
    try {
      return parseReference(familiarName(candidate)).name;
    } catch (error) {
      if (!isSlipwayError(error, 'E_INVALID_REFERENCE')) throw error;
    }
  }
  return undefined;
}

/** What tools write that name an image in a layout by its tag: `1`, `v1.29.3`, `latest`. As a name it would be `1:latest`. */
export function isTagAlone(name: string): boolean {
  return /^(?:v?\d[\w.-]*|latest)$/.test(name);
}

/** Without what is implied: `docker.io/library/x:1` is `x:1` in the store. */
export function familiarName(name: string): string {
  return name.replace(/^docker\.io\/(?:library\/)?/, '');
}
