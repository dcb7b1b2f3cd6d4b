import { execFileSync, spawnSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { readTar } from '../../../../src/layers/tar-reader.js';
import { decodeToc, encodeToc } from '../../../../src/layers/toc-file.js';
import { unpackLayer } from '../../../../src/layers/unpack.js';
import { readXattrs } from '../../../../src/layers/xattrs.js';
import { checkTree } from '../../../../src/store/check/check-tree.js';
import { randomOf } from '../../../support/random.js';
import { tempDirectory } from '../../../support/temp.js';
import { inPieces } from '../../../unit/layers/raw-tar.js';
import { snapshot } from '../trees.js';
import { corpus } from './corpus.js';
import { type Feature, featuresOf } from './features.js';
import { mutated } from './mutate.js';
import { gnuListings, type Listed, type Listing, ourListing, pythonListings, writeArchives } from './oracles.js';

/** How many archives are read; a part of them is unpacked and listed by others. */
const RUNS = Number(process.env.SLIPWAY_FUZZ_RUNS ?? 12_000);
/** Archive number N is made from this number + N: with SLIPWAY_FUZZ_RUNS=1 one that failed is made again. */
// The same archives in every run, so that a red one is the fault of the change; other seeds by hand.
const SEED = Number(process.env.SLIPWAY_FUZZ_SEED ?? 73_649_464);

const home = tempDirectory();
/** A file system in memory, for speed. */
const mounted = join(home, 'memory');
let all: readonly Buffer[];
let plain: readonly Buffer[];

beforeAll(async () => {
  mkdirSync(mounted);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1g,mode=755', 'tmpfs', mounted]);
  all = [...(await corpus(join(home, 'all'), { special: true })).values()];
  plain = [...(await corpus(join(home, 'plain'), { special: false })).values()];
});
afterAll(() => void execFileSync('umount', [mounted]));

interface Case {
  readonly seed: number;
  readonly tar: Buffer;
  readonly how: string;
}

function makeCase(index: number, from: readonly Buffer[]): Case {
  const seed = SEED + index;
  const random = randomOf(seed);
  const { tar, how } = mutated(random.pick(from), random);
  return { seed, tar, how: how.join(', ') };
}

/** What is wrong is an error of an archive, never anything else. */
async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (isSlipwayError(error, 'E_BAD_ARCHIVE', 'E_UNSAFE_ARCHIVE', 'E_UNSUPPORTED')) return error.code;
    throw error;
  }
}

describe('archives that were made wrong', () => {
  it(`are read or refused, with no more work than they have bytes, whatever pieces they come in (${RUNS}, seed ${SEED})`, async () => {
    const outcomes: Record<string, number> = {};
    const refusals = new Set<string>();
    for (let index = 0; index < RUNS; index++) {
      const { seed, tar, how } = makeCase(index, all);
      const whole = await reading(tar, tar.length + 1);
      const what = `SLIPWAY_FUZZ_SEED=${seed} (${how}): ${whole.error ?? ''}`;
      expect(['accepted', 'E_BAD_ARCHIVE', 'E_UNSAFE_ARCHIVE', 'E_UNSUPPORTED'], what).toContain(whole.code);
      expect(whole.members.length, what).toBeLessThanOrEqual(tar.length / 512);
      expect(whole.bytes, what).toBeLessThanOrEqual(tar.length);
      if (seed % 4 === 0) expect(await reading(tar, 1 + (seed % 1500)), what).toEqual(whole);
      outcomes[whole.code] = (outcomes[whole.code] ?? 0) + 1;
      refusals.add(whole.error?.replace(/\d+|"(?:[^"\\]|\\.)*"?/g, '…').slice(0, 70) ?? '');
    }
    process.stdout.write(
      `tar fuzz: ${RUNS} archives read (seed ${SEED}) ${JSON.stringify(outcomes)}, refused for ${refusals.size} reasons\n`,
    );
    // The mutations reach what they are meant for.
    if (RUNS >= 10_000) {
      expect(outcomes.accepted).toBeGreaterThan(RUNS / 5);
      expect(refusals.size).toBeGreaterThan(30);
    }
  }, 900_000);

  it('have the members that GNU tar and Python find, but for what is known', async () => {
    const cases: (Case & { readonly ours: Awaited<ReturnType<typeof ourListing>> })[] = [];
    for (let index = 0; index < RUNS / 3; index++) {
      const one = makeCase(index, all);
      if (one.tar.length === 0) continue; // to GNU tar that is no archive
      const ours = await ourListing(one.tar).catch(() => undefined);
      if (ours !== undefined) cases.push({ ...one, ours });
    }
    const files = writeArchives(
      join(mounted, 'listed'),
      cases.map(({ tar }) => tar),
    );
    const peers: readonly (readonly [string, readonly Listing[], readonly (keyof Listed)[], readonly Feature[]])[] = [
      [
        'GNU tar',
        gnuListings(files.filter((_, index) => index % 2 === 0)),
        ['path', 'type', 'size', 'link', 'owner'],
        ['size of what has no content', 'odd number', 'long name without end'],
      ],
      [
        'Python',
        pythonListings(files),
        ['path', 'type', 'size', 'link', 'owner', 'mode', 'digest'],
        [
          'odd number',
          'long name without end',
          'several extended headers',
          'prefix without ustar',
          'volume label',
          'slash at the end',
        ],
      ],
    ];
    const told: string[] = [];
    for (const [peer, listings, fields, known] of peers) {
      const looked = cases.length === listings.length ? cases : cases.filter((_, index) => index % 2 === 0);
      const differences: string[] = [];
      let [same, explained] = [0, 0];
      for (const [index, { members }] of listings.entries()) {
        const { seed, tar, how, ours } = looked[index] as (typeof cases)[number];
        const show = (list: readonly Listed[]): readonly string[] =>
          list
            .filter(({ type }) => type !== 'volume')
            .map((member) => fields.map((field) => member[field]).join(' | '));
        const [mine, theirs] = [show(ours), show(members)];
        if (mine.join('\n') === theirs.join('\n')) same++;
        else if (known.some((feature) => featuresOf(tar, ours).has(feature))) explained++;
        else {
          const at = mine.findIndex((line, position) => line !== theirs[position]);
          differences.push(`SLIPWAY_FUZZ_SEED=${seed} (${how}): ${mine[at]} is to ${peer} ${theirs[at]}`);
        }
      }
      expect(differences).toEqual([]);
      told.push(`${peer}: ${same} the same, ${explained} known differences`);
      // What is known must not hide the rest.
      if (RUNS >= 10_000) expect(same).toBeGreaterThan(15 * explained);
    }
    process.stdout.write(`tar fuzz: ${told.join('; ')}\n`);
  }, 900_000);

  it.each(['apply', 'overlay'] as const)(
    'never reach what is beside the directory they are unpacked into, and leave what the table of contents says (whiteouts: %s)',
    async (whiteouts) => {
      const outcomes: Record<string, number> = {};
      for (let index = 0; index < RUNS / 6; index++) {
        const { seed, tar, how } = makeCase(index, (SEED + index) % 8 === 0 ? all : plain);
        const what = `SLIPWAY_FUZZ_SEED=${seed} (${how})`;
        const place = makePlace(join(mounted, `${whiteouts}-${index}`), whiteouts === 'apply');
        const before = place.beside();
        let toc: Awaited<ReturnType<typeof unpackLayer>> | undefined;
        const unpacking = unpackLayer(inPieces(tar), { compression: 'none', dir: place.root, whiteouts }).then(
          (made) => {
            toc = made;
          },
        );
        const code = await codeOf(unpacking).catch((error: unknown) => expect.fail(`${what}: ${error}`));
        outcomes[code] = (outcomes[code] ?? 0) + 1;
        expect(place.beside(), what).toEqual(before);
        if (tar.includes('pwned')) expect(await readXattrs(place.canary, ['f']), what).toEqual([undefined]);
        if (toc !== undefined) expect(decodeToc(encodeToc(toc), toc.diffId), what).toEqual(toc);
        if (toc !== undefined && whiteouts === 'overlay')
          expect(await checkTree(place.root, toc, { content: true }), what).toEqual([]);
        place.remove();
      }
      process.stdout.write(`tar fuzz: unpacked, whiteouts ${whiteouts}: ${JSON.stringify(outcomes)}\n`);
    },
    900_000,
  );

  it('become the files that GNU tar makes of them, but for what is known', async () => {
    let compared = 0;
    for (let index = 0; index < RUNS / 60; index++) {
      const { seed, tar, how } = makeCase(index, plain);
      const ours = await ourListing(tar).catch(() => undefined);
      if (ours === undefined || !isOrdinary(tar, ours)) continue;
      const dir = join(mounted, `made-${index}`);
      for (const name of ['ours', 'theirs']) mkdirSync(join(dir, name), { recursive: true });
      writeFileSync(join(dir, 'tar'), tar);
      const options = { compression: 'none', dir: join(dir, 'ours'), whiteouts: 'apply', setuid: true } as const;
      if ((await codeOf(unpackLayer(inPieces(tar), options))) === 'accepted') {
        const flags = ['--numeric-owner', '--delay-directory-restore', '--same-permissions'];
        const { status } = spawnSync('tar', ['-xf', join(dir, 'tar'), '-C', join(dir, 'theirs'), ...flags]);
        const what = `SLIPWAY_FUZZ_SEED=${seed} (${how})`;
        // It fails where an archive is cut off, or a name is that of a directory and the thing is none.
        if (status === 0) expect(snapshot(join(dir, 'ours')), what).toEqual(snapshot(join(dir, 'theirs')));
        compared += Number(status === 0);
      }
      rmSync(dir, { recursive: true });
    }
    process.stdout.write(`tar fuzz: ${compared} trees compared with those of GNU tar\n`);
    if (RUNS >= 10_000) expect(compared).toBeGreaterThan(RUNS / 400);
  }, 900_000);
});

/** Everything that a reader is told of an archive. */
async function reading(
  tar: Buffer,
  pieces: number,
): Promise<{ members: string[]; bytes: number; code: string; error: string | undefined }> {
  const members: string[] = [];
  let bytes = 0;
  const read = readTar(inPieces(tar, pieces), {
    member: (member) => void members.push(JSON.stringify(member)),
    content(piece) {
      bytes += piece.length;
      if (bytes > tar.length) throw new Error('more content than there is');
    },
  });
  try {
    await read;
    return { members, bytes, code: 'accepted', error: undefined };
  } catch (error) {
    const code = isSlipwayError(error) ? error.code : 'another error';
    return { members, bytes, code, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Nothing that we and GNU tar unpack differently on purpose: whiteouts, paths through links, one path twice. */
function isOrdinary(tar: Buffer, members: Awaited<ReturnType<typeof ourListing>>): boolean {
  if (featuresOf(tar, members).size > 0) return false;
  const paths = new Set<string>();
  const files = new Set<string>();
  const links = members.filter(({ type }) => type === 'symlink').map(({ path }) => `${path}/`);
  for (const { path, type, link } of members) {
    if (paths.has(path) || path.includes('.wh.') || links.some((one) => path.startsWith(one))) return false;
    if (type === 'hardlink' && !files.has(link ?? '')) return false;
    paths.add(path);
    if (type === 'file') files.add(path);
  }
  // A file with something inside it: which of the two stays is another question.
  return members.every(
    ({ path, type }) => type === 'dir' || !members.some((other) => other.path.startsWith(`${path}/`)),
  );
}

/** A directory to unpack into, with files beside it that nothing may touch, and links in it that lead there. */
function makePlace(
  dir: string,
  withLinks: boolean,
): { root: string; canary: string; beside(): unknown; remove(): void } {
  const [root, canary] = [join(dir, 'root'), join(dir, 'canary')];
  mkdirSync(root, { recursive: true });
  mkdirSync(join(canary, 'd'), { recursive: true });
  writeFileSync(join(canary, 'f'), 'canary', { mode: 0o600 });
  linkSync(join(canary, 'f'), join(canary, 'd/f'));
  if (withLinks) {
    // What a lower layer may have left.
    symlinkSync('../canary', join(root, 'l'));
    symlinkSync(join(canary, 'f'), join(root, 'd'));
    symlinkSync(canary, join(root, 'x'));
    symlinkSync('../..', join(root, 'y'));
  }
  const beside = (): unknown =>
    [dir, canary, join(canary, 'd'), join(canary, 'f')].map((path) => {
      const { mode, uid, gid, size, mtimeMs, nlink, ino } = lstatSync(path);
      const inside = lstatSync(path).isDirectory() ? readdirSync(path).sort() : readFileSync(path, 'utf8');
      return { path, mode, uid, gid, size, mtimeMs, nlink, ino, inside };
    });
  return { root, canary, beside, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
