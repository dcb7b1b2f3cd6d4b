import { SlipwayError } from '../../base/errors.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import type { ImageView } from '../copy/image-view.js';
import { type Changes, placedEntry } from '../copy/place.js';
import type { SourceEntry } from '../copy/source-tree.js';

/** A member of an archive; a hard link names the member it shares its content with. */
export type ArchiveMember = SourceEntry | { readonly path: string; readonly hardlinkTo: string };

/** An archive whose members are unpacked at the destination. */
export interface ArchivePick {
  readonly members: readonly ArchiveMember[];
  /** For messages. */
  readonly what: string;
}

/**
 * Unpacks an archive as `tar -x` does into the image: directories merge and get the archive's attributes, anything else replaces what is at
 * its place. Links of the image and of the archive are followed inside the image, except in the last component of a name. Owners, modes and
 * times are those of the archive, whatever `--chown` and `--chmod` say, and `--exclude` leaves nothing of it out: as in Docker.
 * @throws SlipwayError E_BAD_ARCHIVE for a hard link to what the archive does not have, E_COPY for a file where a directory is needed.
 */
export function placeArchive(view: ImageView, { members, what }: ArchivePick, target: string, changes: Changes): void {
  const placed = new Map<string, SourceEntry>();
  for (const member of members) {
    if (member.path === '') continue; // the destination itself stays as it is
    const entry = 'hardlinkTo' in member ? linkedEntry(member, placed, what) : member;
    placed.set(member.path, entry);
    const dir = view.resolve(joinPath(target, parentOf(member.path)));
    const above = dir === '' ? undefined : view.get(dir);
    if (above !== undefined && above.type !== 'dir') {
      throw new SlipwayError('E_COPY', `cannot unpack ${member.path} of ${what}: /${dir} of the image is no directory`);
    }
    const { owner: _owner, mode: _mode, ...rest } = changes;
    view.place(placedEntry(entry, joinPath(dir, nameOf(member.path)), rest));
  }
}

function linkedEntry(
  { path, hardlinkTo }: { readonly path: string; readonly hardlinkTo: string },
  placed: ReadonlyMap<string, SourceEntry>,
  what: string,
): SourceEntry {
  const target = placed.get(hardlinkTo);
  if (target === undefined || target.type === 'dir') {
    throw new SlipwayError(
      'E_BAD_ARCHIVE',
      `${path} of ${what} is a hard link to ${hardlinkTo}, which is no file before it in the archive`,
    );
  }
  return { ...target, path };
}
