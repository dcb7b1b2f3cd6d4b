import { expect, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { compareTrees, differingAspects, type FileFacts } from '../../../src/layers/compare-trees.js';
import { mergeTocs } from '../../../src/layers/merge.js';
import type { TocEntry } from '../../../src/layers/toc.js';

const entry = (path: string, changes: Partial<TocEntry> = {}): TocEntry => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 1,
  mtime: 0,
  offset: 0,
  digest: digestOf('x'),
  ...changes,
});
const tree = (...entries: TocEntry[]) => mergeTocs([{ diffId: digestOf('layer'), unpackedSize: 0, entries }]);

test.each<[string, Partial<FileFacts>, readonly string[]]>([
  ['nothing', {}, []],
  ['content of one size', { digest: 'y' }, ['content']],
  ['size', { size: 2, digest: 'y' }, ['content']],
  ['mode', { mode: 0o4755 }, ['mode']],
  ['group', { gid: 1 }, ['owner']],
  ['kind', { type: 'fifo', size: 0, mode: 0 }, ['type']],
  ['attributes', { xattrs: { 'user.a': 'eA==' } }, ['xattrs']],
  ['names of attributes', { xattrs: { constructor: 'eA==' } }, ['xattrs']],
])('%s', (_, changes, expected) => {
  const facts: FileFacts = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 1, digest: 'x' };
  expect(differingAspects(facts, { ...facts, ...changes })).toEqual(expected);
  expect(differingAspects({ ...facts, ...changes }, facts)).toEqual(expected);
});

test('times, links to each other and the mode of symbolic links do not count', () => {
  const link = { type: 'symlink', size: 0, linkTarget: 'a' } as const;
  const hard = { type: 'hardlink', size: 0, linkTarget: 'a' } as const;
  const one = tree(entry('a'), entry('b', hard), entry('l', { ...link, mode: 0o777 }));
  const two = tree(entry('a', { mtime: 5 }), entry('b'), entry('l', { ...link, mode: 0o700 }));
  expect([...compareTrees(one, two)]).toEqual([]);
});

test('paths come in their order, from either side', () => {
  const changes = compareTrees(tree(entry('a'), entry('b'), entry('d')), tree(entry('a', { uid: 3 }), entry('c')));
  expect([...changes].map(({ path, change }) => `${path} ${change}`)).toEqual([
    'a changed',
    'b removed',
    'c added',
    'd removed',
  ]);
});
