import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { compileLayers, runCompiled } from './compiled.js';
import { withDirectory } from './trees.js';

interface Result {
  readonly digest: string;
  readonly diffId: string;
  readonly same: boolean;
  /** Peak resident memory in KiB. */
  readonly peak: number;
}

/** Packs `file`, reads the layer back, unpacks it, all in one process. */
const PACK = (file: string, compression: string) => `
  import { createReadStream, mkdirSync, statSync } from 'node:fs';
  import { packLayer } from './layers/pack.js';
  import { indexLayer } from './layers/index-layer.js';
  import { unpackLayer } from './layers/unpack.js';
  const file = ${JSON.stringify(file)}, compression = ${JSON.stringify(compression)};
  const entry = { path: 'big', type: 'file', mode: 0o644, uid: 0, gid: 0, size: statSync(file).size, mtime: 0, content: { file } };
  const { digest, toc } = await packLayer([entry], 'layer', { compression });
  const stream = () => createReadStream('layer', { highWaterMark: 1 << 20 });
  const indexed = await indexLayer(stream(), compression);
  mkdirSync('out', { recursive: true });
  const unpacked = await unpackLayer(stream(), { compression, dir: 'out', whiteouts: 'overlay', expect: { diffId: toc.diffId } });
  const same = [indexed, unpacked].every((other) => JSON.stringify(other) === JSON.stringify(toc));
  console.log(JSON.stringify({ digest, diffId: toc.diffId, same, peak: process.resourceUsage().maxRSS }));
`;

const CONFINED = expect.stringContaining('unpacking in a process that reaches');

/** Something of everything: what cannot be compressed, what can, and nothing but zeros. */
function bigFile(dir: string, megabytes: number): string {
  const file = join(dir, 'input');
  const part = `$((${megabytes} * 1000000 / 3))`;
  const make = `{ head -c ${part} /dev/urandom; head -c ${part} /dev/zero; cat /usr/bin/perl /usr/bin/git; head -c ${part} /dev/zero; } >"$1"`;
  execFileSync('sh', ['-c', make, 'sh', file]);
  return file;
}

describe('in a process of its own', () => {
  it.each(['gzip', 'zstd', 'none'])('a big layer takes less than 200 MB of memory (%s)', async (compression) => {
    await withDirectory((dir) => {
      compileLayers(dir);
      const file = bigFile(dir, 300);
      expect(statSync(file).size).toBeGreaterThan(300_000_000);
      const { peak, same } = runCompiled<Result>(dir, PACK(file, compression));
      expect(same).toBe(true);
      expect(peak).toBeLessThan(200 * 1024);
    });
  });

  /** More than is on its way to the process that writes files at once. */
  const BIG = 6_000_000;
  const UNPACK = (options: string) => `
    import { createReadStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
    import { unpackLayer } from './layers/unpack.js';
    mkdirSync('out');
    const said = [];
    const debug = (line) => said.push(line);
    const outcome = await unpackLayer(createReadStream('layer.tar'), { compression: 'none', dir: 'out', whiteouts: 'apply', debug, ...${options} })
      .then((toc) => ({ entries: toc.entries.length }), (error) => ({ name: error.name, code: error.code, message: error.message, hint: error.hint }));
    const text = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
    console.log(JSON.stringify({ ...outcome, said, secret: text('secret'), inside: text('out/secret') }));
  `;

  it.each<[string, RawMember[], string, object]>([
    ['unpacks what is good', [{ name: 'last', content: 'x' }], '{}', { entries: 2 }],
    [
      'stays in its root',
      [
        { name: 'up', type: '2', link: '../..' },
        { name: 'up/secret', content: 'mine' },
      ],
      '{}',
      { entries: 3, inside: 'mine' },
    ],
    [
      'refuses what leaves its root',
      [{ name: '../secret', content: 'x' }],
      '{}',
      { name: 'SlipwayError', code: 'E_UNSAFE_ARCHIVE' },
    ],
    [
      'refuses what only the writer sees',
      [{ name: 'a', type: '1', link: 'none' }],
      '{}',
      { name: 'SlipwayError', code: 'E_BAD_ARCHIVE', hint: expect.stringContaining('damaged') },
    ],
    [
      'refuses what only the writer sees, at once',
      [
        { name: 'a', type: '1', link: 'none' },
        { name: 'more', content: 'x'.repeat(3 * BIG) },
      ],
      '{}',
      { code: 'E_BAD_ARCHIVE' },
    ],
    ['refuses devices', [{ name: 'd', type: '4', device: [8, 0] }], '{}', { code: 'E_UNSAFE_ARCHIVE' }],
    ['keeps to limits', [{ name: 'b' }, { name: 'c' }], '{ limits: { entries: 2 } }', { code: 'E_UNSAFE_ARCHIVE' }],
    ['checks the diffID', [], '{ expect: { diffId: "sha256:0" } }', { code: 'E_DIGEST_MISMATCH' }],
    [
      'stops when it is told to',
      [],
      '{ signal: AbortSignal.abort(new Error("enough")) }',
      { name: 'Error', message: 'enough' },
    ],
  ])('one that another writes files for: %s', async (_, members, options, expected) => {
    await withDirectory((dir) => {
      compileLayers(dir);
      writeFileSync(join(dir, 'secret'), 'secret');
      writeFileSync(join(dir, 'layer.tar'), rawTar({ name: 'first', content: 'x'.repeat(BIG) }, ...members));
      expect(runCompiled(dir, UNPACK(options))).toMatchObject({ secret: 'secret', said: [CONFINED], ...expected });
    });
  });

  describe('without being root', () => {
    /** Runs the same work as an ordinary user, and as root of a user namespace. */
    const LOWER: RawMember[] = [
      { name: 'd/', type: '5', mode: 0o755, uid: 1234 },
      { name: 'd/old', content: 'old', mode: 0o4755, uid: 1234, gid: 1 },
      { name: 'gone', content: 'old' },
      { name: 'closed/', type: '5', mode: 0o500 },
      { name: 'closed/file', content: 'x' },
    ];
    const UPPER: RawMember[] = [
      { name: '.wh.gone' },
      { name: 'd/', type: '5', mode: 0o755 },
      { name: 'd/.wh..wh..opq' },
      { name: 'd/new', content: 'new' },
    ];

    function prepare(dir: string): void {
      compileLayers(dir);
      writeFileSync(join(dir, 'lower.tar'), rawTar(...LOWER));
      writeFileSync(join(dir, 'upper.tar'), rawTar(...UPPER));
      execFileSync('chmod', ['-R', 'a+rwX', dir]);
    }

    it('layers are unpacked upon each other, without owners', async () => {
      await withDirectory((dir) => {
        prepare(dir);
        const script = `
          import { createReadStream, mkdirSync, readdirSync, statSync } from 'node:fs';
          import { unpackLayer } from './layers/unpack.js';
          mkdirSync('out');
          let said;
          const debug = (line) => { said = line; };
          for (const name of ['lower.tar', 'upper.tar', 'lower.tar']) {
            await unpackLayer(createReadStream(name), { compression: 'none', dir: 'out', whiteouts: 'apply', debug });
          }
          const { uid, mode } = statSync('out/d/old');
          console.log(JSON.stringify({ said, names: readdirSync('out/d'), uid, mode: mode & 0o7777, closed: statSync('out/closed').mode & 0o7777 }));
        `;
        const user = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
        const result = runCompiled(dir, script, {}, user);
        expect(result).toEqual({ said: CONFINED, names: ['new', 'old'], uid: 65534, mode: 0o755, closed: 0o500 });
      });
    });

    it('root of a user namespace unpacks for overlayfs and mounts', async () => {
      await withDirectory((dir) => {
        prepare(dir);
        const script = `
          import { createReadStream, mkdirSync, readdirSync } from 'node:fs';
          import { unpackLayer } from './layers/unpack.js';
          import { mountOverlay, unmount } from './layers/overlay.js';
          for (const name of ['lower', 'upper', 'target']) mkdirSync(name);
          let said;
          const debug = (line) => { said = line; };
          for (const name of ['lower', 'upper']) {
            await unpackLayer(createReadStream(name + '.tar'), { compression: 'none', dir: name, whiteouts: 'overlay', debug });
          }
          await mountOverlay({ lower: ['lower', 'upper'], target: 'target' });
          const names = [readdirSync('target'), readdirSync('target/d')];
          await unmount('target');
          console.log(JSON.stringify({ said, names, after: readdirSync('target') }));
        `;
        const result = runCompiled(dir, script, {}, ['unshare', '-Urm']);
        expect(result).toEqual({ said: CONFINED, names: [['closed', 'd'], ['new']], after: [] });
      });
    });

    it('mounting is refused with the reason', async () => {
      await withDirectory((dir) => {
        prepare(dir);
        const script = `
          import { mkdirSync } from 'node:fs';
          import { mountOverlay } from './layers/overlay.js';
          for (const name of ['lower', 'upper', 'target']) mkdirSync(name);
          const error = await mountOverlay({ lower: ['lower', 'upper'], target: 'target' }).catch((failure) => failure);
          console.log(JSON.stringify({ code: error.code, hint: error.hint }));
        `;
        const user = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
        expect(runCompiled(dir, script, {}, user)).toMatchObject({
          code: 'E_PERMISSION',
          hint: expect.stringContaining('root'),
        });
      });
    });
  });

  it('gzip depends neither on threads nor on what else goes on', async () => {
    await withDirectory((dir) => {
      compileLayers(dir);
      const file = bigFile(dir, 20);
      const digests = ['1', '2', '8'].map(
        (threads) => runCompiled<Result>(dir, PACK(file, 'gzip'), { UV_THREADPOOL_SIZE: threads }).digest,
      );
      expect(new Set(digests).size).toBe(1);
    });
  });
});
