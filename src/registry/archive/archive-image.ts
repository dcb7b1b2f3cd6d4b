import { isSlipwayError } from '../../base/errors.js';
import type { Descriptor } from '../../image/oci.js';
import { canonicalName, parseReference } from '../../image/reference.js';

/** OCI image-spec, annotations.md: the name of an image inside a layout. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** containerd's and docker's full name of an image inside a layout. */
export const CONTAINERD_NAME = 'io.containerd.image.name';
/** On the index of an archive that leaves out what other images have: their names and digests, separated by spaces. */
export const SINCE = 'slipway.archive.since';

/** An image of an archive and its name. */
export interface NamedImage {
  readonly name: string;
  readonly descriptor: Descriptor;
}

/** The entry of `index.json` for an image with this name; `ref.name` is it as it is, containerd's is only set when it is a whole name. */
export function namedDescriptor(name: string | undefined, descriptor: Descriptor): Descriptor {
  if (name === undefined) return descriptor;
  return { ...descriptor, annotations: { ...descriptor.annotations, [REF_NAME]: name, ...containerdName(name) } };
}

function containerdName(name: string): Record<string, string> {
  if (!/[:/]/.test(name)) return {}; // `v1` is a tag to whoever wrote it
  try {
    const reference = parseReference(name);
    return reference.tag === undefined ? {} : { [CONTAINERD_NAME]: canonicalName({ ...reference, digest: undefined }) };
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_REFERENCE')) throw error; // any text may be a name in a layout
    return {};
  }
}
