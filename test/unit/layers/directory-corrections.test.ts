import { describe, expect, it } from 'vitest';
import { directoryCorrections } from '../../../src/layers/directory-corrections.js';
import type { EntryType, TocEntry } from '../../../src/layers/toc.js';

type Line = readonly [type: EntryType, path: string, mode?: number];

/** The corrections as `type path mode`; whiteouts without a mode. */
function corrections(...layers: readonly (readonly Line[])[]): string[] {
  const tocs = layers.map((lines) => ({
    entries: lines.map(
      ([type, path, mode = 0o755]): TocEntry => ({ path, type, mode, uid: 5, gid: 0, size: 0, mtime: 9, offset: 0 }),
    ),
  }));
  return directoryCorrections(tocs).map(({ type, path, mode }) =>
    type === 'whiteout' ? `whiteout ${path}` : `${type} ${path} ${mode.toString(8)}`,
  );
}

describe('overlayfs needs no correction', () => {
  it.each<[string, (readonly Line[])[]]>([
    ['of no layers', []],
    ['of files at the root', [[['file', 'a']], [['file', 'b']]]],
    [
      'where layers have all parents',
      [
        [['dir', 'd', 0o700]],
        [
          ['dir', 'd', 0o700],
          ['file', 'd/f'],
        ],
      ],
    ],
    [
      'where only one layer has anything to say of a directory',
      [
        [
          ['dir', 'd', 0o700],
          ['file', 'd/f'],
        ],
        [['file', 'x']],
      ],
    ],
    ['where nobody has said anything of a directory', [[['file', 'd/f']], [['file', 'd/g']]]],
    [
      'where a whiteout hides something',
      [
        [
          ['dir', 'd'],
          ['file', 'd/f'],
        ],
        [
          ['dir', 'd'],
          ['whiteout', 'd/f'],
        ],
      ],
    ],
    [
      'where a directory of whiteouts is hidden in the end',
      [
        [
          ['dir', 'd'],
          ['whiteout', 'd/f'],
        ],
        [['file', 'd']],
      ],
    ],
    [
      'where a whiteout and what comes in its place are in one layer',
      [
        [['file', 'f']],
        [
          ['whiteout', 'f'],
          ['file', 'f'],
        ],
      ],
    ],
    [
      'where what was hidden is made again',
      [
        [['dir', 'd', 0o700]],
        [
          ['whiteout', 'd'],
          ['dir', 'd', 0o711],
        ],
        [['dir', 'd', 0o711]],
      ],
    ],
  ])('%s', (_, layers) => {
    expect(corrections(...layers)).toEqual([]);
  });
});

describe('overlayfs is corrected', () => {
  it('where a layer changes something in a directory and says nothing of that', () => {
    expect(
      corrections(
        [
          ['dir', 'd', 0o700],
          ['dir', 'd/e', 0o711],
        ],
        [['file', 'd/e/f']],
        [['dir', 'd', 0o750]],
      ),
    ).toEqual(['dir  755', 'dir d 750', 'dir d/e 711']);
    // An opaque mark says nothing of the directory's own attributes.
    expect(corrections([['dir', 'd', 0o700]], [['opaque', 'd']])).toEqual(['dir  755', 'dir d 700']);
    expect(corrections([['dir', '', 0o700]], [['file', 'f']])).toEqual(['dir  700']);
  });

  it('where whiteouts would be seen, which hide nothing', () => {
    const seen = ['dir  755', 'dir d 755'];
    expect(
      corrections(
        [['file', 'x']],
        [
          ['dir', 'd'],
          ['whiteout', 'd/gone'],
        ],
      ),
    ).toEqual(seen);
    // What was merged has gone meanwhile.
    const below: Line[] = [
      ['dir', 'd'],
      ['file', 'd/gone'],
    ];
    const above: Line[] = [
      ['dir', 'd'],
      ['whiteout', 'd/gone'],
    ];
    expect(corrections(below, above)).toEqual([]);
    expect(corrections(below, [['whiteout', 'd']], above)).toEqual(seen);
    expect(corrections(below, [['file', 'd']], above)).toEqual(seen);
    expect(corrections(below, [...above, ['opaque', 'd']])).toEqual(seen);
    expect(corrections(below, [['whiteout', 'd']], above, [['dir', 'd']])).toEqual([]);
  });

  it('where whiteouts bring a directory along that is nowhere', () => {
    expect(
      corrections(
        [['dir', 'd', 0o700]],
        [
          ['dir', 'd', 0o700],
          ['whiteout', 'd/no/such/file'],
        ],
      ),
    ).toEqual(['dir  755', 'dir d 700', 'whiteout d/no']);
    expect(corrections([['file', 'f']], [['whiteout', 'no/such']])).toEqual(['dir  755', 'whiteout no']);
    // A directory that is made there later has it.
    expect(corrections([['whiteout', 'no/such']], [['dir', 'no']])).toEqual([]);
  });

  it('never where a link of the same layer leads elsewhere', () => {
    expect(
      corrections(
        [['dir', 'usr/lib', 0o711]],
        [
          ['symlink', 'lib'],
          ['file', 'lib/x'],
          ['whiteout', 'lib/y'],
        ],
      ),
    ).not.toContain(expect.stringContaining(' lib'));
  });
});
