import { isSlipwayError, SlipwayError } from '../../base/errors.js';
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

/** OCI image-spec, annotations.md: what `ref.name` may be. */
const LAYOUT_NAME = /^[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*(?:\/[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*)*$/;

/** @throws SlipwayError E_INVALID_REFERENCE for what cannot be the name of an image in an OCI layout. */
export function checkLayoutName(name: string | undefined): void {
  if (name === undefined || LAYOUT_NAME.test(name)) return;
  throw new SlipwayError(
    'E_INVALID_REFERENCE',
    `${JSON.stringify(name.slice(0, 300))} cannot be the name of an image in an OCI layout`,
    { hint: 'it is letters and digits, with - . _ : @ + / between them' },
  );
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
