import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../registry/support/programs.js';

/** Unpacks an image of a store with skopeo and umoci, which know nothing of us; gives its rootfs. */
export async function unpackElsewhere(root: string, name: string, dir: string): Promise<string> {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  await must('skopeo', ['copy', `oci:${root}:${name}`, `oci:${join(dir, 'layout')}:x`]);
  await must('umoci', ['unpack', '--image', `${join(dir, 'layout')}:x`, join(dir, 'bundle')]);
  return join(dir, 'bundle', 'rootfs');
}
