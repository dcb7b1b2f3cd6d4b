import { SlipwayError } from '../../base/errors.js';
import { type MergedTree, mergeTocs } from '../../layers/merge.js';
import { type ArchivePick, placeArchive } from '../add/place-archive.js';
import { ImageView, type PlannedEntry } from './image-view.js';
import { layerEntries } from './layer-entries.js';
import type { Pick } from './pick.js';
import { type Changes, placePick } from './place.js';

export interface CopyRequest {
  /** What is copied, in order: later ones win. */
  readonly picks: readonly (Pick | ArchivePick)[];
  /** Expanded, as written otherwise. */
  readonly destination: string;
  /** Absolute path that a relative destination starts from. */
  readonly workdir: string;
  /** What is in the image so far. */
  readonly base: MergedTree;
  /** The result does not depend on what is in the image, except for the attributes of directories that are there already. */
  readonly link: boolean;
  /** `--parents`: the destination is a directory. */
  readonly parents: boolean;
  readonly changes: Changes;
}

/**
 * Decides what a COPY or ADD puts into its layer, in tar order, without reading any content. Rules: docs/kubefile.md, "COPY".
 * @throws SlipwayError E_COPY: file over directory; several sources and a destination that is no directory; a socket …
 */
export function planCopy({ picks, destination, workdir, base, link, parents, changes }: CopyRequest): PlannedEntry[] {
  const view = new ImageView(link ? mergeTocs([]) : base);
  const target = view.resolve(destination.startsWith('/') ? destination : `${workdir}/${destination}`);
  const unpacks = (pick: Pick | ArchivePick): boolean => 'members' in pick || pick.contents;
  const isDirectory =
    destination === '.' ||
    /(?:^|\/)$/.test(destination) ||
    view.get(target)?.type === 'dir' ||
    target === '' ||
    parents;
  if (picks.length > 1 && !isDirectory && !picks.every(unpacks)) {
    throw new SlipwayError('E_COPY', `several sources: ${destination} is not a directory`, {
      hint: `write ${destination}/ if a directory is meant`,
    });
  }
  for (const pick of picks) {
    if ('members' in pick) placeArchive(view, pick, target, changes);
    else placePick(view, pick, { target, isDirectory }, changes);
  }
  const placed = view.entries();
  if (link) refuseOverDirectories(placed, base);
  return layerEntries(placed, {
    base,
    wanted: isDirectory || picks.some(unpacks) ? target : target.slice(0, Math.max(0, target.lastIndexOf('/'))),
    obstacles: link ? 'replace' : 'refuse',
    changes,
  });
}

/** `--link` does not look at the destination, so a forgotten slash would replace a whole directory by a file. */
function refuseOverDirectories(placed: readonly PlannedEntry[], base: MergedTree): void {
  for (const { path, type } of placed) {
    if (type !== 'dir' && type !== 'opaque' && base.get(path)?.entry.type === 'dir')
      throw new SlipwayError('E_COPY', `a file would replace the directory /${path} of the image`, {
        hint: `with --link a destination is a directory only when it ends in "/": /${path}/`,
      });
  }
}
