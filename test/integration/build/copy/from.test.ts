import { chmodSync, linkSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageFile, imageTime, imageTree } from '../../../support/image-tree.js';
import { mustSlipway, slipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

function build(name: string, dir: string, ...args: string[]): Promise<string> {
  return mustSlipway(['build', '-q', '-t', name, ...args, dir], { root });
}

/** What was ever unpacked in the store. */
function unpacked(store = root): string[] {
  try {
    return readdirSync(join(store, 'data', 'overlay2'));
  } catch {
    return [];
  }
}

describe('COPY --from', () => {
  it('a stage, by name and number, and an image', async () => {
    await build('library:v1', context('FROM scratch\nCOPY lib /opt/\n', { 'lib/a': 'library' }));
    const dir = context(
      'FROM scratch AS one\nCOPY a /x/y/\nFROM scratch\nCOPY --from=one /x /1/\nCOPY --from=0 x/y/a /2\nCOPY --from=library:v1 /opt/a /3\n',
      { a: 'alpha' },
    );
    await build('from:v1', dir);
    expect(await imageTree(root, 'from:v1')).toEqual([
      '1 755 0:0 dir',
      '1/y 755 0:0 dir',
      '1/y/a 644 0:0 file',
      '2 644 0:0 file',
      '3 644 0:0 file',
    ]);
    expect(await imageFile(root, 'from:v1', '2')).toBe('alpha');
    expect(await imageFile(root, 'from:v1', '3')).toBe('library');
  });

  it('keeps owners, modes, times, links and hard links; what was deleted does not come', async () => {
    const dir = context(
      '# dialect=docker\nFROM scratch AS one\nCOPY --chown=5:6 d /d/\nCOPY --chmod=4711 a /a\nFROM one AS two\nCOPY --from=one /a /later/\nFROM scratch\nCOPY --from=two / /all/\nCOPY --from=two --chown=9 --chmod=600 /d/x /x\n',
      { a: 'alpha', 'd/x': 'same', 'd/dir/z': 'z' },
    );
    linkSync(join(dir, 'd/x'), join(dir, 'd/dir/hard'));
    await build('attributes:v1', dir);
    expect(await imageTree(root, 'attributes:v1')).toEqual([
      'all 755 0:0 dir',
      'all/a 4711 0:0 file',
      'all/d 755 5:6 dir',
      'all/d/dir 755 5:6 dir',
      'all/d/dir/hard 644 5:6 file',
      'all/d/dir/z 644 5:6 file',
      'all/d/x 644 5:6 hardlink all/d/dir/hard',
      'all/later 755 0:0 dir',
      'all/later/a 4711 0:0 file',
      'x 600 9:9 file',
    ]);
    expect(await imageTime(root, 'attributes:v1', 'x')).toBe(946684800);
  });

  it.each(['gzip', 'zstd', 'none'])('reads %s layers without unpacking them', async (compression) => {
    const store = join(home, `store-${compression}`);
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`many/${n}`, `content ${n} `.repeat(n * 50)]),
    );
    const dir = context(
      'FROM scratch AS one\nCOPY many /many/\nCOPY big /big\nFROM scratch\nCOPY --from=one /many/7 /many/39 /out/\nCOPY --from=one /big /\n',
      files,
    );
    writeFileSync(join(dir, 'big'), Buffer.alloc(3_000_000, 'slipway'));
    await mustSlipway(['build', '-q', '-t', 'packed', '--compression', compression, dir], { root: store });
    expect(unpacked(store)).toEqual([]);
    expect(await imageFile(store, 'packed', 'out/39')).toBe(files['many/39']);
    expect(await imageFile(store, 'packed', 'out/7')).toBe(files['many/7']);
    expect(await imageTree(store, 'packed')).toContain('big 644 0:0 file');
    expect(readdirSync(join(store, 'tmp'))).toEqual([]);
  });

  it('takes no URL, and says what does', async () => {
    const dir = context('FROM scratch\nCOPY https://example.com/a.txt /a\n');
    const { code, stderr } = await slipway(['build', dir], { root: join(home, 'store-url') });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /Kubefile:2:6: https:\/\/example\.com\/a\.txt is not in the build context[\s\S]*hint: write ADD/,
    );
  });

  it('from the cache reads nothing: not even the blob must be whole', async () => {
    const store = join(home, 'store-cached');
    const dir = context('FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\n', { a: 'alpha' });
    const first = await mustSlipway(['build', '-q', '-t', 'cached', dir], { root: store });
    await mustSlipway(['build', '-q', '-t', 'one', '--target', 'one', dir], { root: store });
    const { layers } = JSON.parse(await mustSlipway(['inspect', '--json', 'one'], { root: store })) as {
      layers: { digest: string }[];
    };
    const blob = join(store, 'blobs/sha256', layers[0]?.digest.slice('sha256:'.length) ?? '');
    writeFileSync(blob, Buffer.alloc(statSync(blob).size));
    expect(await mustSlipway(['build', '-q', '-t', 'cached', dir], { root: store })).toBe(first);
    writeFileSync(join(dir, 'Kubefile'), 'FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /c\n');
    const { code, stderr } = await slipway(['build', dir], { root: store });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Kubefile:4:\d+: .*(?:cannot decompress|is not what it is said to be)/);
  });

  it.each([
    ['COPY --from=one /nofile /', /nofile is not in stage one/],
    ['COPY --from=one /dir/fil /', /did you mean dir\/file\?/],
    ['COPY --from=one /dangling /', /dangling is a symbolic link to nowhere, and that is not in stage one/],
    ['COPY --from=nowhere.invalid/x:v1 /a /', /nowhere\.invalid/],
  ])('%s: %s', async (line, message) => {
    const dir = context(`FROM scratch AS one\nCOPY d /\nFROM scratch\n${line}\n`, { 'd/dir/file': '' });
    symlinkSync('nowhere', join(dir, 'd/dangling'));
    const { code, stderr } = await slipway(['build', '--pull', 'never', dir], { root });
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('Kubefile:4:');
  });
});

describe('a COPY upon a base', () => {
  it('unpacks nothing of it', async () => {
    const store = join(home, 'store-base');
    const base = context('FROM scratch\nCOPY big /big\n');
    writeFileSync(join(base, 'big'), Buffer.alloc(20_000_000, 1));
    await mustSlipway(['build', '-q', '-t', 'base:v1', base], { root: store });
    const dir = context('FROM base:v1\nCOPY --chown=0:0 a /etc/\nWORKDIR /opt/app\nCOPY a .\nADD a /b\n', { a: '1' });
    await mustSlipway(['build', '-q', '-t', 'upon:v1', dir], { root: store });
    expect(unpacked(store)).toEqual([]);
    expect(await imageTree(store, 'upon:v1')).toContain('opt/app/a 644 0:0 file');
  });
});

describe('flags', () => {
  const passwd = 'root:x:0:0::/:\nbob:x:1001:2002::/:\n';
  const group = 'root:x:0:\nstaff:x:3003:\n';
  const etc = { 'etc/passwd': passwd, 'etc/group': group };

  it.each([
    ['bob', '1001:2002'],
    ['bob:staff', '1001:3003'],
    ['bob:7', '1001:7'],
    ['12', '12:12'],
    ['12:staff', '12:3003'],
    ['1001', '1001:1001'],
  ])('--chown=%s is %s, for new directories too', async (owner, ids) => {
    const dir = context(`FROM scratch\nCOPY etc /etc/\nARG WHO=${owner}\nCOPY --chown=$WHO d /new/dir/\n`, {
      ...etc,
      'd/f': '',
    });
    await build('chown', dir);
    expect((await imageTree(root, 'chown')).filter((line) => line.startsWith('new'))).toEqual([
      `new 755 ${ids} dir`,
      `new/dir 755 ${ids} dir`,
      `new/dir/f 644 ${ids} file`,
    ]);
  });

  it.each([
    ['--chown=alice', /no user alice in the image's \/etc\/passwd/],
    ['--chown=bob:wheel', /no group wheel in the image's \/etc\/group/],
    ['--chown=:3', /is not user or user:group/],
    ['--chown=4294967295', /is more than 4294967294/],
    ['--chmod=999', /is no permission/],
    ['--chmod=17777', /is no permission/],
    ['--chmod=u+q', /is no permission/],
    ['--exclude=[', /is not a pattern/],
  ])('%s is refused', async (flag, message) => {
    const { code, stderr } = await slipway(
      ['build', context(`FROM scratch\nCOPY etc /etc/\nCOPY ${flag} f /\n`, { ...etc, f: '' })],
      { root },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });

  it('--chown by name needs the image to have the files', async () => {
    const { stderr } = await slipway(['build', context('FROM scratch\nCOPY --chown=bob f /\n', { f: '' })], { root });
    expect(stderr).toContain('the image has no /etc/passwd');
  });

  it('--chmod, in octal and symbolic', async () => {
    const dir = context(
      'FROM scratch\nCOPY --chmod=6750 d /octal/\nCOPY --chmod=u=rwX,go=rX d /symbolic/\nCOPY --chmod=go= d/tool /closed\n',
      { 'd/sub/f': '', 'd/tool': '' },
    );
    chmodSync(join(dir, 'd/tool'), 0o700);
    await build('chmod', dir);
    expect(await imageTree(root, 'chmod')).toEqual([
      'closed 700 0:0 file',
      'octal 755 0:0 dir',
      'octal/sub 6750 0:0 dir',
      'octal/sub/f 6750 0:0 file',
      'octal/tool 6750 0:0 file',
      'symbolic 755 0:0 dir',
      'symbolic/sub 755 0:0 dir',
      'symbolic/sub/f 644 0:0 file',
      'symbolic/tool 755 0:0 file',
    ]);
  });

  it('heredocs are files, expanded unless quoted, beside other sources', async () => {
    const dir = context(
      [
        'FROM scratch',
        'ARG NAME=world',
        'COPY <<greeting <<"raw" f /etc/',
        'hello ${NAME:-nobody} \\$NAME',
        'greeting',
        'hello $NAME',
        'raw',
        'COPY --chmod=755 --chown=3 <<-EOF /run.sh',
        '\t#!/bin/sh',
        '\techo $NAME',
        '\tEOF',
        '',
      ].join('\n'),
      { f: '' },
    );
    await build('heredoc', dir);
    expect(await imageTree(root, 'heredoc')).toEqual([
      'etc 755 0:0 dir',
      'etc/f 644 0:0 file',
      'etc/greeting 644 0:0 file',
      'etc/raw 644 0:0 file',
      'run.sh 755 3:3 file',
    ]);
    expect(await imageFile(root, 'heredoc', 'etc/greeting')).toBe('hello world $NAME\n');
    expect(await imageFile(root, 'heredoc', 'etc/raw')).toBe('hello $NAME\n');
    expect(await imageFile(root, 'heredoc', 'run.sh')).toBe('#!/bin/sh\necho world\n');
  });

  it('--link does not follow links of the image, and its layer is the same upon another base', async () => {
    const files = { f: 'content', 'one/real/x': '1', 'two/y': '2' };
    const kubefile = (base: string) => `FROM scratch\nCOPY ${base} /\nCOPY --link f /lib/app/\n`;
    const dir = context(kubefile('one'), files);
    symlinkSync('real', join(dir, 'one/lib'));
    await build('link:one', dir);
    expect(await imageTree(root, 'link:one')).toEqual([
      'lib 755 0:0 dir',
      'lib/app 755 0:0 dir',
      'lib/app/f 644 0:0 file',
      'real 755 0:0 dir',
      'real/x 644 0:0 file',
    ]);
    writeFileSync(join(dir, 'Kubefile'), kubefile('two'));
    const { stderr } = await slipway(['build', '-t', 'link:two', dir], { root });
    expect(stderr).toMatch(/COPY --link f \/lib\/app\/\n(?:.*\n)*?.*2\/2\] cached/);
    const layers = async (name: string) =>
      (
        JSON.parse(await mustSlipway(['inspect', '--json', name], { root })) as { layers: { digest: string }[] }
      ).layers.map(({ digest }) => digest);
    expect((await layers('link:two')).at(-1)).toBe((await layers('link:one')).at(-1));
    const slash = await slipway(
      ['build', context('FROM scratch\nCOPY d /etc/\nCOPY --link f /etc\n', { 'd/x': '', f: '' })],
      { root },
    );
    expect(slash.stderr).toMatch(/a file would replace the directory \/etc[\s\S]*\/etc\//);
  });
});
