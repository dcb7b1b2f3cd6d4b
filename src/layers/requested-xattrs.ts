import { spawnConfined } from './confinement.js';
import { isLocalXattr } from './layer-names.js';
import { OPAQUE_VALUE } from './overlay-marks.js';
import { unsafeArchive } from './tar-limits.js';
import { type FileXattrs, writeXattrs } from './xattrs.js';

/** DAC_OVERRIDE for directories that are closed to everybody. */
const CAPABILITIES = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'];

/**
 * Sets attributes that the writer of a layer asks for, because they need a right to do far more than that (SYS_ADMIN). So it is a process of its own,
 * as confined as the writer, that knows nothing else to do.
 *
 * @param root where the writer has written; it may be there still, and not be what it was.
 * @throws SlipwayError E_UNSAFE_ARCHIVE for attributes that no layer sets; as writeXattrs.
 */
export async function setRequestedXattrs(
  root: string,
  files: readonly FileXattrs[],
  opaqueXattr: string,
): Promise<void> {
  if (files.length === 0) return;
  for (const { path, xattrs } of files) {
    for (const [name, value] of Object.entries(xattrs)) {
      const known = name === opaqueXattr ? value === OPAQUE_VALUE : !isLocalXattr(name);
      if (!known || path.includes('\0') || name.includes('\0'))
        throw unsafeArchive(`it sets the attribute ${JSON.stringify(name)}`);
    }
  }
  await writeXattrs(root, files, (dir, words) =>
    spawnConfined({ writable: dir, capabilities: CAPABILITIES, directory: dir }, words),
  );
}
