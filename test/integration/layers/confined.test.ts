import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { unpackLayer } from '../../../src/layers/unpack.js';
import { readXattrs } from '../../../src/layers/xattrs.js';
import { tempDirectory } from '../../support/temp.js';
import { inPieces, pax, type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { compileLayers, importLayers, runCompiled } from './compiled.js';
import { snapshot, withDirectory } from './trees.js';

/** Everything that a layer can ask for, by which a writer of too few rights would be found out. */
const LAYER: RawMember[] = [
  { name: './', type: '5', mode: 0o755 },
  { name: 'closed/', type: '5', mode: 0, uid: 5 },
  pax({ 'SCHILY.xattr.user.note': 'x', 'SCHILY.xattr.trusted.mark': 'y' }),
  { name: 'closed/file', content: 'x', mode: 0o4755, uid: 1234, gid: 4321, mtime: 7 },
  pax({ 'SCHILY.xattr.trusted.mark': 'z' }),
  { name: 'closed/link', type: '2', link: '/nowhere' },
  { name: 'closed/name', type: '1', link: 'closed/file' },
  pax({ 'SCHILY.xattr.user.note': 'dir' }),
  { name: 'sticky/', type: '5', mode: 0o3777, gid: 77, mtime: 9 },
  { name: 'sticky/pipe', type: '6', mode: 0o640, uid: 3 },
  { name: 'sticky/.wh.gone' },
  { name: 'sticky/opaque/', type: '5', mtime: 11 },
  { name: 'sticky/opaque/.wh..wh..opq' },
  { name: 'strict', content: 'y', mode: 0o1666, uid: 65535 },
  { name: 'nothing', content: '', mode: 0 },
];

describe('a process that writes the files of a layer', () => {
  const home = tempDirectory();
  let compiled: typeof import('../../../src/layers/unpack.js');
  beforeAll(async () => {
    compiled = await importLayers(home);
  });

  it('makes what this process makes', async () => {
    await withDirectory(async (dir) => {
      const roots = [join(dir, 'here'), join(dir, 'there')] as const;
      for (const root of roots) mkdirSync(root);
      const options = { compression: 'none', whiteouts: 'overlay', allowDevices: true } as const;
      const device: RawMember = { name: 'null', type: '3', device: [1, 3], mode: 0o666 };
      const tar = rawTar(...LAYER, device);
      const here = await unpackLayer(inPieces(tar), { ...options, dir: roots[0] });
      const there = await compiled.unpackLayer(inPieces(tar), { ...options, dir: roots[1] });
      expect(there).toEqual(here);
      const [expected, actual] = await Promise.all(
        roots.map(async (root) => {
          const entries = snapshot(root).map((entry) =>
            entry.path === 'sticky/gone' ? { ...entry, mtime: 0 } : entry,
          );
          const paths = entries.map(({ path }) => path);
          return { entries, xattrs: await readXattrs(root, paths, { local: true }) };
        }),
      );
      expect(actual).toEqual(expected);
      expect(actual?.xattrs.filter((found) => found !== undefined)).toHaveLength(5);
      expect(actual?.entries.find(({ path }) => path === 'sticky/gone')?.kind).toBe('device 0');
    });
  });

  it('is the same one for all layers, each in a directory of its own', async () => {
    await withDirectory(async (dir) => {
      const said: string[] = [];
      const unpacker = new compiled.Unpacker(dir, { debug: (line) => said.push(line) });
      try {
        const writers = new Set<string>();
        for (const name of ['a', 'b', 'c']) {
          mkdirSync(join(dir, name));
          await unpacker.unpack(inPieces(rawTar({ name, content: name })), {
            compression: 'none',
            whiteouts: 'overlay',
            dir: join(dir, name),
          });
          writers.add(writersOf(dir).join());
        }
        expect([...writers]).toEqual([expect.stringMatching(/\d/)]);
      } finally {
        await unpacker.close();
      }
      expect(said).toEqual([`unpacking in a process that reaches ${dir} only`]);
      expect(snapshot(dir).map(({ path }) => path)).toEqual(['a', 'a/a', 'b', 'b/b', 'c', 'c/c']);
      expect(writersOf(dir)).toEqual([]);
    });
  });

  it('is replaced after a failure', async () => {
    await withDirectory(async (dir) => {
      const unpacker = new compiled.Unpacker(dir);
      const options = { compression: 'none', whiteouts: 'apply', dir } as const;
      try {
        const bad = rawTar({ name: 'a', type: '1', link: 'none' });
        await expect(unpacker.unpack(inPieces(bad), options)).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
        expect(writersOf(dir)).toEqual([]);
        await unpacker.unpack(inPieces(rawTar({ name: 'b' })), options);
      } finally {
        await unpacker.close();
      }
      expect(readdirSync(dir)).toEqual(['b']);
    });
  });

  it('ends when slipway is killed', async () => {
    await withDirectory(async (dir) => {
      mkdirSync(join(dir, 'out'));
      const script = `
        import { unpackLayer } from ${JSON.stringify(join(home, 'layers/unpack.js'))};
        async function* endless() { for (;;) yield Buffer.alloc(65536); }
        await unpackLayer(endless(), { compression: 'none', whiteouts: 'apply', dir: 'out', debug: () => console.log('started') });
      `;
      writeFileSync(join(dir, 'script.mjs'), script);
      const child = spawn(process.execPath, [join(dir, 'script.mjs')], {
        cwd: dir,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      expect(writersOf(dir)).not.toEqual([]);
      child.kill('SIGKILL');
      await expect.poll(() => writersOf(dir)).toEqual([]);
    });
  });
});

describe('where there can be no confined process', () => {
  const dirOfTools = (dir: string): string => {
    const tools = join(dir, 'tools');
    mkdirSync(tools);
    for (const tool of ['sh', 'mknod', 'perl']) symlinkSync(join('/usr/bin', tool), join(tools, tool));
    return tools;
  };
  const withoutRights = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', '--'];

  it.each<[string, (dir: string) => [NodeJS.ProcessEnv, string[]], string]>([
    ['bwrap is not installed', (dir) => [{ PATH: dirOfTools(dir) }, []], 'bwrap is not installed'],
    ['bwrap may make no namespaces', () => [{}, withoutRights], 'Operation not permitted'],
  ])('this process writes the files: %s', async (_, how, reason) => {
    await withDirectory((dir) => {
      compileLayers(dir);
      const members = LAYER.filter(({ type, name }) => type !== 'x' && !name.includes('.wh..wh..'));
      writeFileSync(join(dir, 'layer.tar'), rawTar(...members));
      const script = `
        import { createReadStream, mkdirSync, readdirSync } from 'node:fs';
        import { unpackLayer } from './layers/unpack.js';
        mkdirSync('out');
        const said = [];
        const options = { compression: 'none', dir: 'out', whiteouts: 'overlay', debug: (line) => said.push(line) };
        const toc = await unpackLayer(createReadStream('layer.tar'), options);
        console.log(JSON.stringify({ said, entries: toc.entries.length, names: readdirSync('out').sort() }));
      `;
      const [env, wrapper] = how(dir);
      expect(runCompiled(dir, script, env, wrapper)).toEqual({
        said: [
          expect.stringMatching(new RegExp(`^unpacking in this process, a confined one cannot be had: .*${reason}`)),
        ],
        entries: members.length,
        names: ['closed', 'nothing', 'sticky', 'strict'],
      });
    });
  });
});

/** Programs in the place of the writer: what it could do if an archive had taken it over. */
describe('a writer that was taken over', () => {
  let server: Server;
  let abstract: Server;
  const ABSTRACT = `\0slipway-test-${process.pid}`;
  beforeAll(async () => {
    server = createServer((socket) => socket.end('hello'));
    abstract = createServer((socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => abstract.listen(ABSTRACT, resolve));
  });
  afterAll(() => {
    server.close();
    abstract.close();
  });

  interface Outcome {
    readonly error?: { readonly code?: string; readonly message: string };
    readonly entries?: number;
    /** What the program has to say at the end, as the message of a failure. */
    readonly results?: Readonly<Record<string, unknown>>;
  }

  /** Unpacks with this program as the writer, beside things that nothing may touch. */
  async function takenOver(
    program: (dir: string, out: string) => string,
    tar = rawTar({ name: 'a', content: 'a' }),
    wrapper: readonly string[] = [],
  ): Promise<Outcome> {
    return withDirectory(async (dir) => {
      const [layers, outside, out] = ['layers', 'outside', 'store/out'].map((name) => join(dir, name)) as [
        string,
        string,
        string,
      ];
      for (const path of [outside, out]) mkdirSync(path, { recursive: true });
      writeFileSync(join(dir, 'store/neighbour'), 'neighbour', { mode: 0o600 });
      writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o644 });
      compileLayers(dir);
      writeFileSync(join(layers, 'unpack-worker.js'), PROLOGUE + program(dir, out));
      writeFileSync(join(dir, 'layer.tar'), tar);
      const beside = () => snapshot(dir).filter(({ path }) => !/^(?:store\/out|script-)/.test(path));
      const before = beside();
      try {
        return runCompiled<Outcome>(
          dir,
          `import { createReadStream } from 'node:fs';
           import { unpackLayer } from './layers/unpack.js';
           const said = [];
           const options = { compression: 'none', dir: ${JSON.stringify(out)}, whiteouts: 'overlay', debug: (line) => said.push(line) };
           const outcome = await unpackLayer(createReadStream('layer.tar'), options)
             .then((toc) => ({ entries: toc.entries.length }), ({ code, message }) => ({ error: { code, message } }));
           if (!said[0]?.includes('reaches')) throw new Error('not confined: ' + said);
           const text = outcome.error?.message;
           console.log(JSON.stringify(text?.startsWith('{') ? { results: JSON.parse(text) } : outcome));`,
          { SECRET_TOKEN: 'do not tell' },
          wrapper,
        );
      } finally {
        expect(beside()).toEqual(before);
        expect(await readXattrs(outside, ['secret', ''])).toEqual([undefined, undefined]);
      }
    });
  }

  const PROLOGUE = `
    import fs from 'node:fs';
    import net from 'node:net';
    import { spawnSync } from 'node:child_process';
    const say = (answer) => fs.writeSync(1, JSON.stringify(answer) + '\\n');
    const results = {};
    const attempt = (name, work) => {
      try { results[name] = work() ?? 'done'; } catch (error) { results[name] = error.code ?? String(error); }
    };
    const report = () => { say({ is: 'failed', slipway: false, message: JSON.stringify(results) }); process.exit(1); };
    const untilEnd = () => {
      for (let got = Buffer.alloc(0), piece = Buffer.alloc(65536), n; !got.subarray(-5).equals(Buffer.from('E\\0\\0\\0\\0')); )
        got = Buffer.concat([got, piece.subarray(0, fs.readSync(0, piece))]);
    };
    say({ is: 'ready' });
  `;

  it('reads nothing that is kept from it', async () => {
    const { results = {} } = await takenOver(
      (dir, out) => `
        fs.symlinkSync(${JSON.stringify(`${dir}/outside`)}, ${JSON.stringify(`${out}/link`)});
        for (const file of [${JSON.stringify(`${dir}/outside/secret`)}, ${JSON.stringify(`${out}/../neighbour`)}, ${JSON.stringify(`${out}/link/secret`)},
          '/etc/passwd', '/etc/shadow', '/proc/self/status', '/proc/1/environ', '/sys/kernel/notes', '/dev/null', '/dev/vda', '/root', '/home',
          '/var', '/tmp/..', '/run', '/boot', '/slipway/dist/../../etc/passwd'])
          attempt(file.replace(${JSON.stringify(dir)}, 'DIR'), () => (fs.statSync(file).isDirectory() ? fs.readdirSync(file).join() : fs.readFileSync(file, 'latin1')));
        results.environment = Object.keys(process.env).sort().join();
        report();`,
    );
    const { environment, '/tmp/..': root, ...files } = results;
    expect(environment).toBe('LC_ALL,PATH,PWD');
    // The way to its directory, programs and libraries.
    expect(
      String(root)
        .split(',')
        .filter((name) => !/^(?:bin|sbin|lib\w*|usr|etc|nix|gnu)$/.test(name)),
    ).toEqual(['slipway', 'tmp']);
    expect(new Set(Object.values(files))).toEqual(new Set(['ENOENT']));
  });

  it('writes nowhere but to its target', async () => {
    const { results = {} } = await takenOver(
      (dir, out) => `
        const out = ${JSON.stringify(out)}, dir = ${JSON.stringify(dir)};
        attempt('target', () => { fs.writeFileSync(out + '/file', 'x'); fs.chownSync(out + '/file', 5, 5); fs.chmodSync(out + '/file', 0o4755); });
        attempt('outside', () => fs.writeFileSync(dir + '/outside/secret', 'x'));
        attempt('beside', () => fs.writeFileSync(out + '/../neighbour', 'x'));
        attempt('new beside', () => fs.writeFileSync(out + '/../new', 'x'));
        attempt('link', () => fs.linkSync(dir + '/outside/secret', out + '/stolen'));
        attempt('move', () => fs.renameSync(out + '/file', out + '/../file'));
        attempt('replace target', () => fs.renameSync(out, out + '2'));
        attempt('root', () => fs.writeFileSync('/x', 'x'));
        attempt('library', () => fs.writeFileSync('/usr/lib/x', 'x'));
        attempt('program', () => fs.chmodSync('/usr/bin/perl', 0o777));
        attempt('own program', () => fs.appendFileSync('/slipway/dist/unpack-worker.js', '//'));
        attempt('node', () => fs.openSync('/slipway/node', 'r+'));
        report();`,
    );
    expect(results).toEqual({
      target: 'done',
      outside: 'ENOENT',
      beside: 'EROFS',
      'new beside': 'EROFS',
      link: 'ENOENT',
      move: 'EXDEV',
      'replace target': 'EROFS',
      root: 'EROFS',
      library: 'EROFS',
      program: 'EROFS',
      'own program': 'EROFS',
      node: 'ETXTBSY',
    });
  });

  it('has no other way out', async () => {
    const perl = (code: string) => `perl(${JSON.stringify(code)})`;
    const { results = {} } = await takenOver(
      (_, out) => `
        const run = (...words) => spawnSync(words[0], words.slice(1)).status;
        // 0: it could; an errno otherwise
        const perl = (code) => spawnSync('perl', ['-'], { input: code + '\\nexit(defined $r && $r ne -1 ? 0 : $! + 0);\\n__END__\\n' }).status;
        const out = ${JSON.stringify(out)};
        fs.mkdirSync(out + '/d');
        attempt('mount', () => run('mount', '-t', 'tmpfs', 'x', out + '/d') === 0);
        attempt('remount', () => run('mount', '-o', 'remount,bind,rw', '/usr/bin') === 0);
        attempt('unmount', () => run('umount', '-l', '/usr/bin') === 0);
        attempt('user namespace', () => run('unshare', '-Ur', 'true') === 0);
        attempt('mount namespace', () => run('unshare', '-m', 'true') === 0);
        attempt('disk', () => run('mknod', out + '/disk', 'b', '8', '0') === 0);
        attempt('chroot', () => ${perl(`$r = chroot('/usr') || undef;`)});
        attempt('become another', () => ${perl(`$r = syscall(${process.arch === 'x64' ? 105 : 146}, 12);`)});
        attempt('by handle', () => ${perl(`$r = syscall(${process.arch === 'x64' ? 304 : 265}, 0, $h = "\\0" x 64, 0);`)});
        attempt('keyring', () => ${perl(`$r = syscall(${process.arch === 'x64' ? 250 : 219}, 0, -4, 1);`)});
        attempt('signal', () => process.kill(${process.pid}, 0));
        const connected = (where) => new Promise((resolve) => {
          net.connect(where).once('connect', () => resolve('connected')).once('error', ({ code }) => resolve(code));
        });
        results.tcp = await connected({ port: ${(server.address() as { port: number }).port}, host: '127.0.0.1' });
        results.abstract = await connected({ path: ${JSON.stringify(ABSTRACT)} });
        report();`,
    );
    expect(results).toEqual({
      mount: false,
      remount: false,
      unmount: false,
      'user namespace': false,
      'mount namespace': false,
      disk: false,
      chroot: 1,
      'become another': 1,
      'by handle': 1,
      keyring: 1,
      signal: 'ESRCH',
      tcp: 'ECONNREFUSED',
      abstract: 'ECONNREFUSED',
    });
  });

  it('inherits nothing but its pipes', async () => {
    const { results } = await takenOver(
      () => `
        results.files = [];
        for (let fd = 0; fd < 256; fd++) {
          try {
            const stats = fs.fstatSync(fd);
            if (!stats.isSocket() && (stats.isFile() || stats.isDirectory() || stats.isCharacterDevice() || stats.isBlockDevice())) results.files.push(fd);
            if (stats.isSocket() && fd > 2) results.files.push(fd);
          } catch {}
        }
        report();`,
      undefined,
      ['sh', '-c', 'exec 7</ 8<>/dev/null 9</etc/passwd; exec "$@"', 'sh'],
    );
    expect(results).toEqual({ files: [] });
  });

  it.each<[string, string, string]>([
    ['redirects of overlayfs', `{ 'trusted.overlay.redirect': 'eA==' }`, 'E_UNSAFE_ARCHIVE'],
    ['opaque marks that mean something else', `{ 'trusted.overlay.opaque': 'eA==' }`, 'E_UNSAFE_ARCHIVE'],
    ['names with other commands in them', `{ 'trusted.a\\0w\\0b': 'eA==' }`, 'E_UNSAFE_ARCHIVE'],
  ])('asks in vain for %s', async (_, xattrs, code) => {
    const { error } = await takenOver(
      () =>
        `untilEnd(); say({ is: 'attributes', path: 'a', xattrs: ${xattrs} }); say({ is: 'written' }); setInterval(() => {}, 1e6);`,
    );
    expect(error).toMatchObject({ code });
  });

  it.each(['../../outside/secret', 'link/secret', 'DIR/outside/secret'])(
    'asks in vain for attributes of what is outside: %s',
    async (path) => {
      const { error } = await takenOver(
        (dir, out) => `
          fs.symlinkSync(${JSON.stringify(`${dir}/outside`)}, ${JSON.stringify(`${out}/link`)});
          untilEnd();
          say({ is: 'attributes', path: ${JSON.stringify(path.replace('DIR', dir))}, xattrs: { 'trusted.mark': 'eA==' } });
          say({ is: 'written' });
          setInterval(() => {}, 1e6);`,
      );
      expect(error?.code).toMatch(/^E_(?:FILE_CHANGED|PERMISSION)$/);
    },
  );

  it.each<[string, string, RegExp]>([
    ['nonsense', `fs.writeSync(1, 'hello\\n'); setInterval(() => {}, 1e6);`, /^the process .* said something strange$/],
    ['what it was not asked', `say({ is: 'ready' }); setInterval(() => {}, 1e6);`, /said something strange$/],
    ['too much', `for (;;) fs.writeSync(1, 'x'.repeat(65536));`, /too many extended attributes/],
    [
      'too many attributes',
      `for (;;) say({ is: 'attributes', path: 'x'.repeat(65536), xattrs: {} });`,
      /too many extended attributes/,
    ],
    ['nothing and ends', `process.exit(0);`, /ended early/],
    [
      'control characters',
      `say({ is: 'failed', slipway: true, code: 'E_NO_SPACE', message: '\\x1b[2Jboo' });`,
      /^ \[2Jboo$/,
    ],
    ['codes that there are not', `say({ is: 'failed', slipway: true, code: 'toString', message: 'x' });`, /^x$/],
  ])('says %s', async (_, program, message) => {
    const { error } = await takenOver(() => program);
    expect(error?.message).toMatch(message);
  });

  it('cannot change what the layer is found to be', async () => {
    const tar = rawTar({ name: 'a', content: 'a' }, { name: 'b', content: 'b' });
    const outcome = await takenOver(() => `untilEnd(); say({ is: 'written' }); setInterval(() => {}, 1e6);`, tar);
    expect(outcome).toEqual({ entries: 2 });
  });
});

it('as much of a layer is in memory as a slow writer is behind, and that is little', async () => {
  await withDirectory(async (dir) => {
    const out = join(dir, 'out');
    mkdirSync(out);
    const taken = join(out, 'taken');
    writeFileSync(taken, '0'.padEnd(20));
    const compiled = await importLayers(dir);
    // Reads as slowly as a disk that is nearly full, and notes how far it has come.
    writeFileSync(
      join(dir, 'layers/unpack-worker.js'),
      `import fs from 'node:fs';
       const say = (is) => fs.writeSync(1, JSON.stringify({ is }) + '\\n');
       const pause = new Int32Array(new SharedArrayBuffer(4)), piece = Buffer.alloc(65536);
       const notes = fs.openSync(${JSON.stringify(taken)}, 'r+');
       say('ready');
       for (let total = 0, n; (n = fs.readSync(0, piece)) > 0 && piece[n - 5] !== 0x45; ) {
         total += n;
         fs.writeSync(notes, String(total).padEnd(20), 0);
         Atomics.wait(pause, 0, 0, 1);
       }
       say('written');
       fs.readSync(0, piece);`,
    );
    const size = 96 * 1024 * 1024;
    const [head, content, end] = [
      rawTar({ name: 'big', size }).subarray(0, 512),
      Buffer.alloc(65536),
      Buffer.alloc(1024),
    ];
    let given = 0;
    let most = 0;
    async function* source(): AsyncGenerator<Buffer> {
      const give = (piece: Buffer): Buffer => {
        given += piece.length;
        most = Math.max(most, given - Number(readFileSync(taken, 'latin1')));
        return piece;
      };
      yield give(head);
      for (let at = 0; at < size; at += content.length) yield give(Buffer.from(content));
      yield give(end);
    }
    const toc = await compiled.unpackLayer(source(), { compression: 'none', whiteouts: 'apply', dir: out });
    expect(toc.entries[0]?.digest).toBe(digestOf(Buffer.alloc(size)));
    expect(most).toBeGreaterThan(1024 * 1024);
    expect(most).toBeLessThan(24 * 1024 * 1024);
  });
});

/** Pids of the processes of bwrap that keep writers to a directory. */
function writersOf(dir: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return words[0] === 'bwrap' && words[words.indexOf('--bind') + 1]?.startsWith(dir) === true;
    } catch {
      return false; // it has ended
    }
  });
}
