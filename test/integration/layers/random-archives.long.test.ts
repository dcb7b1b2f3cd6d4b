import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../src/base/errors.js';
import { unpackLayer } from '../../../src/layers/unpack.js';
import { tempDirectory } from '../../support/temp.js';
import { inPieces, type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { importLayers } from './compiled.js';
import { snapshot, withDirectory } from './trees.js';

const compiled = await importLayers(tempDirectory());

const LONG_AGO = 1_000_000_000;

/** Few names, so that entries meet: one path twice, a file for a directory, paths through links, links to what is gone. */
const name = fc.constantFrom('a', 'b', 'c', 'd');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const facts = {
  mode: fc.constantFrom(0o644, 0o755, 0o4755, 0o600, 0o1777, 0, 0o222),
  uid: fc.constantFrom(0, 0, 1000),
  gid: fc.constantFrom(0, 0, 7),
  mtime: fc.nat(LONG_AGO),
};
const content = fc.oneof(
  fc.constant(''),
  fc.string({ maxLength: 20 }),
  fc.nat(20_000).map((size) => 'x'.repeat(size)),
);
const file = fc.record({ name: path, content, ...facts });
const dir = fc.record({ name: path, type: fc.constant('5'), ...facts });
const hardlink = fc.record({ name: path, type: fc.constant('1'), link: path });
const target = fc.oneof(path, fc.constantFrom('..', '../..', '/', '/a', '../b', '.', 'a/../b', '../../../etc'));
const symlink = fc.record({ name: path, type: fc.constant('2'), link: target, uid: facts.uid, mtime: facts.mtime });
const mark = path.map((hidden) => ({ name: hidden.replace(/[^/]*$/, '.wh.$&') }));
const opaque = path.map((hidden) => ({ name: `${hidden}/.wh..wh..opq` }));

const members: fc.Arbitrary<RawMember[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: file },
    { weight: 5, arbitrary: dir },
    { weight: 4, arbitrary: symlink },
    { weight: 4, arbitrary: hardlink },
    { weight: 2, arbitrary: mark },
    { weight: 1, arbitrary: opaque },
  ),
  { maxLength: 25 },
);

/** The tree, but for the times that no archive has set. */
function treeOf(root: string) {
  return snapshot(root).map((entry) => (entry.mtime > LONG_AGO ? { ...entry, mtime: 'now' } : entry));
}

describe('any archive', () => {
  it.each(['apply', 'overlay'] as const)(
    'becomes the same tree, or is refused, whoever writes the files (whiteouts: %s)',
    async (whiteouts) => {
      await withDirectory(async (home) => {
        const unpacker = new compiled.Unpacker(home);
        let round = 0;
        let accepted = 0;
        try {
          await fc.assert(
            fc.asyncProperty(
              fc.array(members, { minLength: 1, maxLength: whiteouts === 'apply' ? 3 : 1 }),
              async (layers) => {
                const [here, there] = [join(home, `here-${round}`), join(home, `there-${round++}`)];
                for (const root of [here, there]) mkdirSync(root);
                for (const layer of layers) {
                  const tar = rawTar(...layer);
                  const options = { compression: 'none', whiteouts, setuid: true } as const;
                  const [expected, actual] = [
                    await outcome(unpackLayer(inPieces(tar), { ...options, dir: here })),
                    await outcome(unpacker.unpack(inPieces(tar, 700), { ...options, dir: there })),
                  ];
                  expect(actual).toEqual(expected);
                  // What is left of a layer that was refused is thrown away.
                  if (typeof expected === 'string') return;
                  accepted++;
                  expect(treeOf(there)).toEqual(treeOf(here));
                }
              },
            ),
            { numRuns: 150 },
          );
        } finally {
          await unpacker.close();
        }
        expect(accepted).toBeGreaterThan(50);
      });
    },
  );

  it('that GNU tar and we read alike becomes the same tree', async () => {
    await withDirectory(async (home) => {
      const unpacker = new compiled.Unpacker(home);
      let round = 0;
      try {
        await fc.assert(
          fc.asyncProperty(members, async (all) => {
            const layer = readAlike(all);
            const tar = rawTar(...layer);
            const [ours, theirs] = [join(home, `ours-${round}`), join(home, `theirs-${round++}`)];
            for (const root of [ours, theirs]) mkdirSync(root);
            writeFileSync(join(home, 'layer.tar'), tar);
            const flags = ['--numeric-owner', '--delay-directory-restore'];
            execFileSync('tar', ['-xpf', join(home, 'layer.tar'), '-C', theirs, ...flags], { stdio: 'pipe' });
            await unpacker.unpack(inPieces(tar), { compression: 'none', whiteouts: 'apply', setuid: true, dir: ours });
            expect(treeOf(ours)).toEqual(treeOf(theirs));
          }),
          { numRuns: 150 },
        );
      } finally {
        await unpacker.close();
      }
    });
  });

  it('with names of any bytes keeps them', async () => {
    const bytes = fc
      .uint8Array({ minLength: 1, maxLength: 60 })
      .map((raw) => Buffer.from(raw.map((byte) => (byte === 0 || byte === 0x2f ? 0x0a : byte))));
    const odd = fc.uniqueArray(bytes, { selector: (one) => one.toString('latin1'), maxLength: 8 });
    await withDirectory(async (home) => {
      const unpacker = new compiled.Unpacker(home);
      let round = 0;
      try {
        await fc.assert(
          fc.asyncProperty(odd, async (names) => {
            const kept = names.filter((one) => !/^\.{1,2}$|^\.wh\./.test(one.toString('latin1')));
            const root = join(home, String(round++));
            mkdirSync(root);
            const tar = rawTar(
              ...kept.map((one): RawMember => ({ name: '', patch: (header) => void one.copy(header) })),
            );
            await unpacker.unpack(inPieces(tar), { compression: 'none', whiteouts: 'overlay', dir: root });
            const expected = kept.map((one) => one.toString('latin1')).sort();
            expect(
              snapshot(root)
                .map((entry) => entry.path)
                .sort(),
            ).toEqual(expected);
          }),
          { numRuns: 60 },
        );
      } finally {
        await unpacker.close();
      }
    });
  });
});

async function outcome(work: Promise<{ readonly entries: readonly unknown[] }>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (isSlipwayError(error) || (error instanceof Error && error.name === 'SlipwayError')) return 'refused';
    throw error;
  }
}

/**
 * Leaves out what GNU tar does in another way: it keeps directories that something else is to replace, writes through links, makes links that lead
 * out of the tree later, and knows no whiteouts. Duplicate files and links, replaced files, links to files and to links stay.
 */
function readAlike(all: readonly RawMember[]): RawMember[] {
  const kinds = new Map<string, string>();
  const kept: RawMember[] = [];
  for (const member of all) {
    const { name: at, type = '0', link = '' } = member;
    if (at.includes('.wh.')) continue;
    const parents = at
      .split('/')
      .slice(0, -1)
      .map((_, index, parts) => parts.slice(0, index + 1).join('/'));
    if (parents.some((parent) => (kinds.get(parent) ?? '5') !== '5')) continue;
    const there = kinds.get(at);
    if (there !== undefined && (there === '5') !== (type === '5')) continue;
    if (type === '2' && /^\/|\.\./.test(link)) continue;
    if (type === '1' && (link === at || !['0', '2'].includes(kinds.get(link) ?? ''))) continue;
    for (const parent of parents) kinds.set(parent, '5');
    kinds.set(at, type === '1' ? (kinds.get(link) ?? '0') : type);
    kept.push(member);
  }
  return kept;
}
