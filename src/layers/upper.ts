import { SlipwayError } from '../base/errors.js';
import { type Found, layerChanges } from './layer-changes.js';
import { isLocalXattr, parentOf } from './layer-names.js';
import type { MergedTree } from './merge.js';
import { scanTree } from './scan.js';
import type { PackEntry } from './toc.js';
import { readXattrs } from './xattrs.js';

/** `y` in base64. */
const YES = Buffer.from('y').toString('base64');
const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'];
/** What overlayfs marks as copied from below (in `user.` attributes only files and directories). */
const ORIGIN = ['trusted.overlay.origin', 'user.overlay.origin'];
/** Attributes of files that overlayfs keeps in parts, with the rest in the layers below. */
const IN_PARTS = /^(?:trusted|user)\.overlay\.(?:redirect|metacopy)$/;

/**
 * What a layer must hold to turn the tree `lower` into what an overlay with the upper directory `upperDir` showed; see {@link layerChanges}.
 * Nothing may be running in the overlay any more.
 *
 * Devices 0/0 are whiteouts. That they share an inode makes them no hard links. There is never an entry for the root, whose attributes are
 * those of `upperDir` and nobody's intention.
 *
 * Sockets, which a daemon leaves behind, mean nothing without it and are left out, as Docker does.
 *
 * @throws SlipwayError E_UNSUPPORTED for files that overlayfs keeps in parts, which happens only in overlays that were
 * mounted with other options than ours; E_MISSING_PROGRAM without perl, which reads the extended attributes.
 */
export async function upperEntries(upperDir: string, lower: MergedTree): Promise<PackEntry[]> {
  return layerChanges(await readUpper(upperDir), lower);
}

async function readUpper(upperDir: string): Promise<Found[]> {
  const entries = await scanTree(upperDir, { overlay: true, skipSockets: true });
  const paths = entries.map(({ path }) => path);
  const attributes = await readXattrs(upperDir, paths, { local: true });
  const opaqueDirectories = new Set<string>();
  return entries.map((entry, index) => {
    const all = attributes[index] ?? {};
    const odd = Object.keys(all).find((name) => IN_PARTS.test(name));
    if (odd !== undefined) {
      throw new SlipwayError(
        'E_UNSUPPORTED',
        `cannot make a layer of ${upperDir}: ${entry.path} has the attribute ${odd}`,
        {
          hint: 'the overlay must be mounted with redirect_dir=off,metacopy=off',
        },
      );
    }
    const hidesBelow = opaqueDirectories.has(parentOf(entry.path)) || OPAQUE.some((name) => all[name] === YES);
    const opaque = entry.type === 'dir' && hidesBelow;
    if (opaque) opaqueDirectories.add(entry.path);
    const own = Object.entries(all).filter(([name]) => !isLocalXattr(name));
    return {
      entry,
      xattrs: own.length === 0 ? undefined : Object.fromEntries(own),
      opaque,
      // A link can have no such attribute; that somebody touches one is rare.
      changed: ORIGIN.some((name) => name in all),
    };
  });
}
