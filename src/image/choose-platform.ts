import { SlipwayError } from '../base/errors.js';
import type { Descriptor } from './oci.js';
import { formatPlatform, type Platform, samePlatform, thisPlatform } from './platform.js';

/**
 * The manifest of an index for a platform. Without a wish: this machine's, else the only one.
 * Entries that are no image (attestations, `unknown/unknown`) are passed over.
 * @throws SlipwayError E_NOT_FOUND that lists what there is.
 */
export function choosePlatform(
  manifests: readonly Descriptor[],
  wanted: Platform | undefined,
  name: string,
): Descriptor {
  const images = manifests.filter(({ platform }) => platform === undefined || platform.os !== 'unknown');
  const [only, second] = images;
  const exact = images.find(
    ({ platform }) => platform !== undefined && samePlatform(platform, wanted ?? thisPlatform()),
  );
  if (exact !== undefined) return exact;
  if (only !== undefined && second === undefined && (wanted === undefined || only.platform === undefined)) return only;
  const offered = images.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  throw new SlipwayError('E_NOT_FOUND', `${name} has no image for ${formatPlatform(wanted ?? thisPlatform())}`, {
    hint: offered.length === 0 ? 'the index is empty' : `choose one with --platform: ${offered.join(', ')}`,
  });
}
