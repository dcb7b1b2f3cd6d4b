import { chmodSync, linkSync } from 'node:fs';
import { errnoOf } from '../base/errors.js';
import { joinPath, nameOf, parentOf } from './layer-names.js';
import { makeNode } from './make-node.js';
import { fsPath } from './path-bytes.js';
import type { SafeRoot } from './safe-root.js';
import type { Xattrs, XattrWriter } from './xattrs.js';

/** `y`, in base64. */
export const OPAQUE_VALUE = 'eQ==';

/**
 * The whiteouts and opaque marks of one layer, written in overlayfs's way once everything else of the layer is there: only then is it
 * known what the layer itself has under the same names.
 *
 * Making a device takes a process, so one is made and hard-linked, as overlayfs does too; all opaque marks are set by one process.
 */
export class OverlayMarks {
  readonly #whiteouts = new Set<string>();
  readonly #opaque = new Set<string>();
  readonly #opaqueXattr: string;

  /** @param opaqueXattr the attribute of an opaque directory, see system-root.ts. */
  constructor(opaqueXattr: string) {
    this.#opaqueXattr = opaqueXattr;
  }

  whiteout(path: string): void {
    this.#whiteouts.add(path);
  }

  opaque(path: string): void {
    this.#opaque.add(path);
  }

  /** @throws SlipwayError E_PERMISSION, E_UNSUPPORTED, E_MISSING_PROGRAM; file system errors. */
  async write(root: SafeRoot, setXattrs: XattrWriter): Promise<void> {
    let device: string | undefined;
    for (const path of this.#whiteouts) {
      if (!makePlainDirectory(root, parentOf(path))) continue;
      const own = root.stat(path);
      // Hidden below and made again by the same layer: what is below must not show through.
      if (own?.isDirectory() === true) this.#opaque.add(path);
      if (own !== undefined) continue;
      const file = root.absolute(path);
      if (device === undefined || !linked(device, file)) {
        makeNode(file, 'char');
        chmodSync(fsPath(file), 0); // whatever the umask is
        device = file;
      }
    }
    const xattrs: Xattrs = { [this.#opaqueXattr]: OPAQUE_VALUE };
    const opaque = [...this.#opaque].filter((path) => makePlainDirectory(root, path));
    if (opaque.length > 0) {
      await setXattrs(
        root.absolute(''),
        opaque.map((path) => ({ path, xattrs })),
      );
    }
  }
}

/** Makes what is missing of a directory. False: a component is a link or a file, so that nothing below has this path. */
function makePlainDirectory(root: SafeRoot, path: string): boolean {
  if (path === '') return true;
  if (!makePlainDirectory(root, parentOf(path))) return false;
  const stats = root.stat(path);
  if (stats === undefined) return root.makeDirectory(path) === joinPath(parentOf(path), nameOf(path));
  return stats.isDirectory();
}

/** False when the device has as many names as its file system allows. */
function linked(device: string, file: string): boolean {
  try {
    linkSync(fsPath(device), fsPath(file));
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EMLINK') return false;
    throw error;
  }
}
