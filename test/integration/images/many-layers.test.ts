import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuseObstacle } from '../../../src/layers/fuse-overlay.js';
import { dir, file, putLayeredImage, quarrellingLayers } from '../../support/layered-image.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type Snapshot, snapshot } from '../layers/trees.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
/** Other layers each time; a failure names the seed. */
const SEED = Number(process.env.SLIPWAY_LAYERS_SEED ?? Date.now() % 1_000_000);
const noFuse = await fuseObstacle();
if (noFuse !== undefined) process.stdout.write(`fuse-overlayfs is not tried: ${noFuse}\n`);

afterAll(() => slipway(['umount', '--all'], { root }));

/** All but the times of directories: those of parents that a layer does not name are nobody's intention. */
function tree(top: string): Snapshot[] {
  return snapshot(top).map((item) => (item.kind === 'dir' ? { ...item, mtime: 0 } : item));
}

/** By umoci, which knows nothing of us; the store is a layout that it can read. */
async function unpacked(name: string): Promise<string> {
  const bundle = join(home, `umoci-${name.replace(':', '-')}`);
  await must('umoci', ['unpack', '--image', `${root}:${name}`, bundle]);
  return join(bundle, 'rootfs');
}

/** Shows an image in a directory of its own. */
async function mounted(name: string, kind: string): Promise<string> {
  const said = JSON.parse(
    await mustSlipway(['mount', '--json', '--as', kind, name, join(home, `${kind}-${name.replace(':', '-')}`)], {
      root,
    }),
  );
  expect(said).toMatchObject({ image: name, kind });
  return said.directory;
}

// More than a page of options with full names, and more than overlayfs takes.
describe.each([300, 520])(`an image of %i layers that undo each other (seed ${SEED})`, (count) => {
  const name = `layers:${count}`;
  let expected: Snapshot[];
  beforeAll(async () => {
    await putLayeredImage(root, name, quarrellingLayers(count, SEED + count));
    expected = tree(await unpacked(name));
    expect(expected.length).toBeGreaterThan(count);
  }, 600_000);

  it('is shown by overlayfs as umoci unpacks it', async () => {
    expect(tree(await mounted(name, 'overlay'))).toEqual(expected);
  });

  it.skipIf(noFuse !== undefined)('is shown by fuse-overlayfs so too', async () => {
    expect(tree(await mounted(name, 'fuse'))).toEqual(expected);
  });

  it('is copied so too', async () => {
    // Where others may come, no program gets rights that it would have in the image.
    const harmless = expected.map((item) =>
      item.kind === 'file' ? { ...item, mode: (Number.parseInt(item.mode, 8) & 0o1777).toString(8) } : item,
    );
    expect(tree(await mounted(name, 'copy'))).toEqual(harmless);
  });

  it('is what a RUN sees and changes', async () => {
    const context = writeTree(join(home, `context-${count}`), {
      Kubefile: `FROM ${name}
COPY busybox bin/busybox
COPY busybox bin/sh
RUN set -e; busybox cp -a own copy; for f in d[0-4]; do busybox cp -a $f copy/; done; busybox rm -r own/0; busybox chmod 711 own/1; echo new >own/2/new
`,
    });
    writeFileSync(join(context, 'busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
    const built = `built:${count}`;
    await mustSlipway(['build', '-t', built, context], { root });
    const after = tree(await unpacked(built));
    const at = (list: readonly Snapshot[], path: string) =>
      list.filter((item) => item.path === path || item.path.startsWith(`${path}/`));
    const as = (list: readonly Snapshot[], from: string, to: string) =>
      list.map(({ path, sameAs: _, mtime: __, ...item }) => ({ ...item, path: path.replace(from, to) }));
    // Directories of which nothing was changed are as they were, and the copies are like what was copied.
    for (const path of ['d0', 'd1', 'd2', 'd3', 'd4', 'own/9']) expect(at(after, path)).toEqual(at(expected, path));
    expect(as(at(after, 'copy/9'), 'copy/9', 'own/9')).toEqual(as(at(expected, 'own/9'), '', ''));
    expect(as(at(after, 'copy/d0'), 'copy/d0', 'd0')).toEqual(as(at(expected, 'd0'), '', ''));
    expect(at(after, 'own/0')).toEqual([]);
    expect(at(after, 'own/1')[0]).toMatchObject({ mode: '711' });
    expect(tree(await mounted(built, 'overlay'))).toEqual(after);
  });
});

it('the root directory has what the last layer that names it says', async () => {
  await putLayeredImage(root, 'root:1', [[dir('', { mode: 0o711, uid: 7 }), file('a', '')], [file('b', '')]]);
  for (const kind of ['overlay', ...(noFuse === undefined ? ['fuse'] : []), 'copy']) {
    const { mode, uid } = statSync(await mounted('root:1', kind));
    expect([kind, mode & 0o7777, uid]).toEqual([kind, 0o711, 7]);
  }
});
