import { mergeTocs } from '../../src/layers/merge.js';
import { readTocs } from '../../src/store/layer-store.js';
import { readImage } from '../../src/store/local-image.js';
import { readRootfsFile } from '../../src/store/rootfs-file.js';
import { Store } from '../../src/store/store.js';

/** What is in the merged file system of an image of a store, one line an entry: `path mode uid:gid type`, and what belongs to the type. */
export async function imageTree(root: string, name: string): Promise<string[]> {
  const store = await Store.open(root);
  try {
    const tree = mergeTocs(await readTocs(store, await readImage(store, name)));
    return Array.from(tree.entries())
      .filter(({ entry }) => entry.path !== '')
      .map(({ entry: { path, mode, uid, gid, type, linkTarget } }) => {
        const link = linkTarget === undefined ? '' : ` ${linkTarget}`;
        return `${path} ${mode.toString(8)} ${uid}:${gid} ${type}${link}`;
      });
  } finally {
    await store.close();
  }
}

/** The time of an entry of an image, in seconds; undefined when it is not there. */
export async function imageTime(root: string, name: string, path: string): Promise<number | undefined> {
  const store = await Store.open(root);
  try {
    return mergeTocs(await readTocs(store, await readImage(store, name))).get(path)?.entry.mtime;
  } finally {
    await store.close();
  }
}

/** The text of a file of an image; undefined when there is none. */
export async function imageFile(root: string, name: string, path: string): Promise<string | undefined> {
  const store = await Store.open(root);
  try {
    return (await readRootfsFile(store, await readImage(store, name), path, 1 << 20))?.toString('utf8');
  } finally {
    await store.close();
  }
}
