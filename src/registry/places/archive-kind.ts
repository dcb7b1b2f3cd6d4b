import { SlipwayError } from '../../base/errors.js';
import type { TarFiles } from '../archive/tar-files.js';

const MARKS = { 'oci-archive': 'index.json', 'docker-archive': 'manifest.json' } as const;

/** @returns the error for an archive that is not of the kind it is said to be, with what it is. */
export async function otherKind(files: TarFiles, file: string, said: keyof typeof MARKS): Promise<SlipwayError> {
  const kinds = { 'oci-archive': 'OCI archive', 'docker-archive': 'docker archive' } as const;
  const message = `${files.label} is no ${kinds[said]}: it has no ${MARKS[said]}`;
  for (const kind of ['oci-archive', 'docker-archive'] as const) {
    if (kind !== said && (await files.size(MARKS[kind])) !== undefined)
      return new SlipwayError('E_BAD_ARCHIVE', message, { hint: `it is another kind: ${kind}:${file}` });
  }
  const { isSealerArchive } = await import('../archive/sealer-archive.js');
  if (await isSealerArchive(files)) {
    return new SlipwayError('E_BAD_ARCHIVE', message, {
      hint: `sealer 0.8 made it: slipway load -i ${file} brings it into the store`,
    });
  }
  return new SlipwayError('E_BAD_ARCHIVE', message);
}
