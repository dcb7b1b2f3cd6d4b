import { pax, paxRecord, type RawMember, rawTar } from '../../../unit/layers/raw-tar.js';
import { gzipLayer, type HostileLayer, repeatedLayer } from './layout.js';

export type Door = 'load' | 'pull' | 'mount' | 'run' | 'copy';

/** A code of an error, or `harmless`. */
export type Verdict = 'harmless' | `E_${string}`;

export interface HostileArchive {
  readonly name: string;
  /** @param canary a directory of things that nothing may touch, with a file `secret`. */
  readonly layers: (canary: string) => readonly HostileLayer[];
  /** What `load` and `pull` say, which prove every layer. */
  readonly arrives: Verdict;
  /** What `mount` and `build FROM` with a RUN say, which unpack, of an image that is in the store nevertheless. */
  readonly unpacks: Verdict;
  /** What `COPY --from` says, which reads and unpacks nothing. Default: as `arrives`. */
  readonly copies?: Verdict;
  /** Only these doors, because it takes long. */
  readonly doors?: readonly Door[];
  /** The tree that `mount` shows, `kind path`; a link with `-> target`. CANARY stands for the path of the canary. */
  readonly tree?: readonly string[] | undefined;
}

const one =
  (...members: RawMember[]) =>
  (): readonly HostileLayer[] => [gzipLayer(rawTar(...members))];
const link = (name: string, target: string): RawMember => ({ name, type: '2', link: target });
const hard = (name: string, target: string): RawMember => ({ name, type: '1', link: target });
const file = (name: string, content = 'mine'): RawMember => ({ name, content });
const dir = (name: string, mode = 0o755): RawMember => ({ name, type: '5', mode });
const refused = (code: Verdict) => ({ arrives: code, unpacks: code });

/** A number in base 256, as GNU tar writes big and negative ones. */
const binary =
  (at: number, length: number, value: bigint) =>
  (header: Buffer): void => {
    const bytes = BigInt.asUintN(8 * length, value) | (1n << BigInt(8 * length - 1));
    header.set(Buffer.from(bytes.toString(16).padStart(2 * length, '0'), 'hex'), at);
  };
const sized = (value: bigint): RawMember => ({ name: 'a', patch: binary(124, 12, value) });

export const ARCHIVES: readonly HostileArchive[] = [
  { name: 'a path through ..', layers: one(file('../canary/secret')), ...refused('E_UNSAFE_ARCHIVE') },
  {
    name: 'a path through .. in the middle',
    layers: one(file('a/../../canary/secret')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'an absolute path',
    layers: (canary) => one(file(`${canary}/x`))(),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['CANARY/x'],
  },
  {
    name: 'its root as a link, /. (CVE-2021-29136)',
    layers: (canary) => one(link('/.', canary), file('secret'))(),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  { name: 'its root as a link, ./', layers: (canary) => one(link('./', canary))(), ...refused('E_UNSAFE_ARCHIVE') },
  { name: 'its root as a file', layers: one(file('.')), ...refused('E_UNSAFE_ARCHIVE') },
  {
    name: 'a file through an absolute link',
    layers: (canary) => one(link('link', canary), file('link/secret'))(),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['CANARY/secret', 'link -> CANARY'],
  },
  {
    name: 'a file through a chain of links (CVE-2025-59343)',
    layers: one(
      dir('a/'),
      link('a/up', '..'),
      link('a/up2', 'up/..'),
      link('a/up3', 'up2/../canary'),
      file('a/up3/secret'),
    ),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['a/', 'a/up -> ..', 'a/up2 -> up/..', 'a/up3 -> up2/../canary', 'canary/', 'canary/secret'],
  },
  {
    name: 'a file through a link of the layer below',
    layers: (canary) => [gzipLayer(rawTar(link('link', canary))), gzipLayer(rawTar(file('link/secret')))],
    arrives: 'harmless',
    unpacks: 'harmless',
    // overlayfs puts a directory over a link, it does not look through it.
    tree: ['link/', 'link/secret'],
  },
  {
    name: 'a file in the place of a link',
    layers: (canary) => one(link('x', `${canary}/secret`), file('x'))(),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['x'],
  },
  {
    name: 'a hard link through .. (CVE-2025-48387)',
    layers: one(hard('a', '../canary/secret')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a hard link to an absolute path',
    layers: (canary) => one(hard('a', `${canary}/secret`), file('a'))(),
    arrives: 'harmless',
    unpacks: 'E_BAD_ARCHIVE',
    copies: 'E_BAD_ARCHIVE',
  },
  {
    name: 'a hard link relative to the process',
    layers: one(hard('a', 'beside-the-process'), file('a')),
    arrives: 'harmless',
    unpacks: 'E_BAD_ARCHIVE',
    copies: 'E_BAD_ARCHIVE',
  },
  {
    name: 'a hard link through a chain of links (CVE-2026-26960)',
    layers: (canary) => one(link('one', canary), link('two', 'one'), hard('three', 'two/secret'), file('three'))(),
    arrives: 'harmless',
    unpacks: 'E_BAD_ARCHIVE',
    copies: 'E_BAD_ARCHIVE',
  },
  {
    name: 'a hard link with content',
    layers: one({ ...hard('a', 'b'), content: 'x'.repeat(600) }),
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'links in a circle',
    layers: one(link('a', 'b'), link('b', 'a'), file('a/x')),
    arrives: 'harmless',
    unpacks: 'E_UNSAFE_ARCHIVE',
  },
  {
    name: 'a whiteout through a link of the layer below',
    layers: (canary) => [
      gzipLayer(rawTar(link('link', canary), dir('real/'), file('real/keep'), link('inner', 'real'))),
      gzipLayer(rawTar(file('link/.wh.secret', ''), file('link/.wh..wh..opq', ''), file('inner/.wh.keep', ''))),
    ],
    arrives: 'harmless',
    unpacks: 'harmless',
    // Of directories that are in no layer below, overlayfs lists whiteouts and does not find them.
    tree: undefined,
  },
  {
    name: 'a whiteout through a link of the same layer',
    layers: (canary) => one(link('link', canary), file('link/.wh.secret', ''), file('link/.wh..wh..opq', ''))(),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['link -> CANARY'],
  },
  { name: 'a whiteout of ..', layers: one(file('a/.wh...', '')), ...refused('E_UNSAFE_ARCHIVE') },
  { name: 'a whiteout of nothing', layers: one(file('a/.wh.', '')), ...refused('E_UNSAFE_ARCHIVE') },
  {
    name: 'a disk',
    layers: one({ name: 'sda', type: '4', device: [8, 0] }),
    arrives: 'harmless',
    unpacks: 'E_UNSAFE_ARCHIVE',
  },
  {
    name: 'a whiteout in the disguise of a device',
    layers: one({ name: 'a', type: '3', device: [0, 0] }),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'attributes of overlayfs',
    layers: one(
      pax({ 'SCHILY.xattr.trusted.overlay.redirect': '/canary', 'SCHILY.xattr.trusted.overlay.opaque': 'y' }),
      dir('d/'),
    ),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['d/'],
  },
  {
    name: 'truncated gzip',
    layers: () =>
      one(file('a', 'x'.repeat(9000)))().map(({ blob, diffId }) => ({ blob: blob.subarray(0, -9), diffId })),
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'no gzip at all',
    layers: () => [{ ...gzipLayer(rawTar(file('a'))), blob: rawTar(file('a')) }],
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'an empty blob',
    layers: () => [{ ...gzipLayer(rawTar()), blob: Buffer.alloc(0) }],
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'garbage after the gzip',
    layers: () =>
      one(file('a'))().map(({ blob, diffId }) => ({ blob: Buffer.concat([blob, Buffer.from('garbage')]), diffId })),
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'garbage after the tar',
    layers: () => [gzipLayer(Buffer.concat([rawTar(file('a')), Buffer.from('garbage'), rawTar(file('../b'))]))],
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['a'],
  },
  {
    name: 'a truncated tar',
    layers: () => [gzipLayer(rawTar(file('a', 'x'.repeat(5000))).subarray(0, 3000))],
    ...refused('E_BAD_ARCHIVE'),
  },
  { name: 'a wrong checksum', layers: one({ name: 'a', badChecksum: true }), ...refused('E_BAD_ARCHIVE') },
  {
    name: 'another tar than its diffID says',
    layers: () => [{ ...gzipLayer(rawTar(file('a'))), diffId: gzipLayer(rawTar(file('b'))).diffId }],
    ...refused('E_DIGEST_MISMATCH'),
  },
  {
    name: 'a bomb: 1.1 GiB of zeros in 1.1 MB',
    layers: () => {
      const [head, zeros] = [
        rawTar({ name: 'zeros', size: 70 * 2 ** 24 }).subarray(0, 512),
        repeatedLayer(Buffer.alloc(2 ** 24), 70),
      ];
      return [{ blob: Buffer.concat([gzipLayer(head).blob, zeros.blob]), diffId: zeros.diffId }];
    },
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a bomb: two million entries',
    layers: () => [
      repeatedLayer(Buffer.concat(Array.from({ length: 4000 }, () => rawTar(file('.wh.a', '')).subarray(0, 512))), 501),
    ],
    doors: ['load', 'mount'],
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a bomb: a pax header of 2 MB',
    layers: one({ ...pax({}), content: paxRecord('comment', 'x'.repeat(2e6)) }, file('a')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a bomb of links',
    layers: one(...Array.from({ length: 30 }, (_, i) => link(`l${i + 1}`, `l${i}/../l${i}`)), dir('l0'), file('l30/x')),
    arrives: 'harmless',
    unpacks: 'E_UNSAFE_ARCHIVE',
  },
  {
    name: 'a path 5000 deep',
    layers: one(pax({ path: `${'d/'.repeat(5000)}f` }), file('x')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a path 300 deep',
    layers: one(pax({ path: `${'d/'.repeat(300)}f` }), file('x')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  {
    name: 'a path that links make 5000 deep',
    layers: one(
      ...Array.from({ length: 20 }, (_, i): RawMember[] => [
        pax({ path: `l${i}/${'d/'.repeat(250)}` }),
        dir('x'),
        pax({ linkpath: `l${i}/${'d/'.repeat(249)}d` }),
        link(`l${i + 1}`, ''),
      ]).flat(),
    ),
    arrives: 'harmless',
    unpacks: 'E_BAD_ARCHIVE',
  },
  {
    name: 'names with newlines, quotes and bytes that are no UTF-8',
    layers: one(
      file('new\nline'),
      file("quo'te\\"),
      { name: '', patch: (header) => void header.write('\xff\xfe\x80', 0, 'latin1') },
      file(' '),
      file('-rf'),
    ),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: [' ', '-rf', 'new\nline', "quo'te\\", '\xff\xfe\x80'],
  },
  { name: 'a name with a NUL', layers: one(pax({ path: 'a\0b' }), file('x')), ...refused('E_BAD_ARCHIVE') },
  {
    name: 'a name of 300 bytes',
    layers: one(pax({ path: 'n'.repeat(300) }), file('x')),
    arrives: 'harmless',
    unpacks: 'E_BAD_ARCHIVE',
    copies: 'E_COPY',
  },
  { name: 'a negative size', layers: one(sized(-1n)), ...refused('E_BAD_ARCHIVE') },
  { name: 'a size of 8 EiB', layers: one(sized(2n ** 63n - 1n)), ...refused('E_BAD_ARCHIVE') },
  { name: 'a size of 1 PiB', layers: one(sized(2n ** 50n)), ...refused('E_BAD_ARCHIVE') },
  {
    name: 'an owner that chown takes for none',
    layers: one({ name: 'a', patch: binary(108, 8, 2n ** 32n - 1n) }),
    ...refused('E_BAD_ARCHIVE'),
  },
  {
    name: 'a global pax header with a path',
    layers: one(pax({ path: 'x' }, 'g'), file('a'), file('b')),
    ...refused('E_UNSAFE_ARCHIVE'),
  },
  { name: 'a sparse file', layers: one(pax({ 'GNU.sparse.major': '1' }), file('a')), ...refused('E_UNSUPPORTED') },
  {
    name: 'two entries of one name',
    layers: one(
      file('a', 'first'),
      file('b', 'first'),
      dir('b/'),
      file('b/c'),
      dir('c/'),
      file('c/d'),
      file('c', 'last'),
      file('a', 'last'),
      hard('d', 'a'),
      file('d', 'other'),
    ),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['a', 'b/', 'b/c', 'c', 'd'],
  },
  {
    name: 'a directory swapped for a link after it was used',
    layers: (canary) => one(dir('d/', 0o777), file('d/one'), link('d', canary), file('d/secret'))(),
    arrives: 'harmless',
    unpacks: 'harmless',
    tree: ['CANARY/secret', 'd -> CANARY'],
  },
];
