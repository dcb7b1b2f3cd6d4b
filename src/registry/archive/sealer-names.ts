import { SlipwayError } from '../../base/errors.js';

/** Names and platforms of the images of such an archive. */
export const SEALER_METADATA = 'Metadata';

/** `HEX/PATH`: a file of a layer, where docker has only `HEX/layer.tar` and what belongs to it. */
const LAYER_MEMBER = /^[a-f0-9]{64}\/(?!(?:layer\.tar|json|VERSION)$)./;

/** True for a file that only an archive of sealer 0.8 has: it keeps layers file by file. */
export function isSealerMember(path: string): boolean {
  return LAYER_MEMBER.test(path);
}

/** @returns what to say when such an archive comes as a stream. */
export function sealerStream(label: string): SlipwayError {
  return new SlipwayError('E_UNSUPPORTED', `${label} was made by sealer 0.8: it cannot be read in one pass`, {
    hint: 'keep it in a file, uncompressed: slipway load -i FILE',
  });
}
