import type { MergedTree } from '../../layers/merge.js';
import { readLayerFile } from '../../store/rootfs-file.js';
import type { Store } from '../../store/store.js';
import type { StageState } from '../stages/stage.js';
import type { UserFiles } from './owner.js';

const LIMIT = 16 * 1024 * 1024;

/** /etc/passwd and /etc/group of a stage, links followed inside it; read out of its layers when they are asked for. */
export function stageUserFiles(store: Store, { layers }: StageState, tree: MergedTree): UserFiles {
  const read = async (path: string): Promise<string | undefined> => {
    const source = tree.resolve(path).found?.source;
    const layer = source && layers[source.layer];
    return layer && (await readLayerFile(store, layer, source.entry, LIMIT)).toString('utf8');
  };
  return { passwd: () => read('etc/passwd'), group: () => read('etc/group') };
}
