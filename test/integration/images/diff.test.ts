import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ImageDifference, imageDifferenceSchema } from '../../../src/store/image-difference.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { listTree } from '../../support/tree.js';
import { run } from '../registry/support/programs.js';
import { unpackElsewhere } from './unpacked.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>>): string {
  const dir = join(home, `context-${count++}`);
  for (const [path, content] of Object.entries({ ...files, Kubefile: kubefile })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

async function build(name: string, kubefile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  await mustSlipway(['build', '-t', name, '-q', '--type', 'app-installer', context(kubefile, files)], { root });
  return name;
}

async function diff(a: string, b: string, ...args: string[]): Promise<ImageDifference> {
  return imageDifferenceSchema.parse(JSON.parse(await mustSlipway(['diff', '--json', a, b, ...args], { root })));
}

/** Every path that is not in both trees as it is in the other; times and links do not count. */
function differing(a: string, b: string): string[] {
  const lines = (dir: string) =>
    new Map(
      listTree(dir, { times: false }).map((line) => [line.split(' ', 1)[0] ?? '', line.replace(/ links=\d+$/, '')]),
    );
  const [left, right] = [lines(a), lines(b)];
  return [...new Set([...left.keys(), ...right.keys()])].filter((path) => left.get(path) !== right.get(path)).sort();
}

describe('slipway diff', () => {
  test('names what umoci, find and GNU diff see', async () => {
    const files = {
      'd/same': 'same',
      'd/content': 'one',
      'd/mode': 'x',
      'd/gone': 'x',
      'd/sub/deep': 'x',
      kind: 'x',
      e: '',
    };
    const base = await build(
      'diff/base:v1',
      'FROM scratch\nCOPY . /\nRUN ln -s same d/link && ln d/same d/hard && rm Kubefile\n',
      files,
    );
    const other = await build(
      'diff/other:v1',
      `FROM ${base}\nRUN rm -r d/gone d/sub kind && mkdir kind && echo two >d/content && chmod 4751 d/mode && chown 7:8 e && ln -sfn content d/link && mkdir d/new && echo x >d/new/x && ln d/content d/content2\n`,
    );
    const result = await diff(base, other);
    const [a, b] = [
      await unpackElsewhere(root, base, join(home, 'a')),
      await unpackElsewhere(root, other, join(home, 'b')),
    ];
    const entries = result.files.entries.map(({ path }) => path);
    expect(entries).toEqual(differing(a, b));
    expect(entries).toEqual([
      'd/content',
      'd/content2',
      'd/gone',
      'd/link',
      'd/mode',
      'd/new',
      'd/new/x',
      'd/sub',
      'd/sub/deep',
      'e',
      'kind',
    ]);
    const gnu = (await run('diff', ['-rq', '--no-dereference', a, b])).stdout;
    for (const { path, change, aspects } of result.files.entries) {
      const [dir = '', name = ''] = [dirname(path), path.slice(path.lastIndexOf('/') + 1)];
      const alone = `Only in ${join(change === 'added' ? b : a, dir === '.' ? '' : dir)}: ${name}\n`;
      if (change === 'changed' && aspects.includes('content'))
        expect(gnu).toContain(`Files ${join(a, path)} and ${join(b, path)} differ`);
      // GNU diff names only the topmost directory
      else if (change !== 'changed' && !['d/new/x', 'd/sub/deep'].includes(path)) expect(gnu).toContain(alone);
    }
    const at = (path: string) => result.files.entries.find((entry) => entry.path === path);
    expect(at('d/mode')).toMatchObject({ aspects: ['mode'], from: { mode: '0644' }, to: { mode: '4751' } });
    expect(at('e')).toMatchObject({ aspects: ['owner'], to: { uid: 7, gid: 8 } });
    expect(at('d/link')).toMatchObject({
      aspects: ['link'],
      from: { linkTarget: 'same' },
      to: { linkTarget: 'content' },
    });
    expect(at('kind')).toMatchObject({ aspects: ['type'], from: { type: 'file' }, to: { type: 'dir' } });
    expect(result.files.added).toEqual({ files: 3, bytes: lstatSync(join(b, 'd/content2')).size + 2 });
    expect(result.layers).toMatchObject({
      shared: 2,
      onlyFrom: [],
      onlyTo: [{ instruction: expect.stringContaining('RUN rm') }],
    });
    expect((await diff(other, base)).files.entries.map(({ path, change }) => [path, change])).toEqual(
      result.files.entries.map(({ path, change }) => [
        path,
        { added: 'removed', removed: 'added', changed: 'changed' }[change],
      ]),
    );
  });

  test('of any two trees, what is named is what differs on the disk', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'é');
    const node = fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      kind: fc.constantFrom('file', 'link', 'dir'),
      text: fc.constantFrom('', 'x', 'yy'),
      mode: fc.constantFrom(0o644, 0o755, 0o600),
      uid: fc.constantFrom(0, 7),
    });
    const tree = fc.array(node, { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(tree, tree, async (one, two) => {
        const dirs = [one, two].map((nodes) => {
          const dir = join(home, `tree-${count++}`);
          mkdirSync(join(dir, 'rootfs'), { recursive: true });
          for (const { path, kind, text, mode, uid } of nodes) {
            const file = join(dir, 'rootfs', path);
            try {
              mkdirSync(kind === 'dir' ? file : dirname(file), { recursive: true });
              if (kind === 'link') symlinkSync(text || '.', file);
              else if (kind === 'file') writeFileSync(file, text, { flag: 'wx' });
              if (kind !== 'link') chmodSync(file, mode);
              if (kind === 'file') chownSync(file, uid, 0);
            } catch {
              // something is there already, or is no directory
            }
          }
          writeFileSync(join(dir, 'Kubefile'), 'FROM scratch\nCOPY rootfs /r\n');
          return dir;
        });
        const names = ['random/a:v1', 'random/b:v1'];
        for (const [index, dir] of dirs.entries())
          await mustSlipway(['build', '-q', '--type', 'app-installer', '-t', names[index] ?? '', dir], { root });
        const unpacked = [];
        for (const [index, image] of names.entries())
          unpacked.push(await unpackElsewhere(root, image, join(home, `random-${index}`)));
        const { files, different } = await diff('random/a:v1', 'random/b:v1');
        const expected = differing(unpacked[0] ?? '', unpacked[1] ?? '');
        expect(files.entries.map(({ path }) => path)).toEqual(expected);
        expect(different).toBe(expected.length > 0);
        for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
      }),
      { numRuns: 5, seed: 20240601 },
    );
  });

  test('settings, Metadata, labels, variables, commands and applications', async () => {
    const one = await build(
      'diff/one:v1',
      'FROM scratch\nCOPY Metadata .\nENV A=1 B=1\nLABEL x=1\nCMD first\nAPP web local://app\n',
      {
        Metadata: '{"version":"v1.20.2"}',
        'app/a.yaml': 'kind: Service\napiVersion: v1\n',
      },
    );
    const two = await build(
      'diff/two:v1',
      'FROM scratch\nCOPY Metadata .\nENV A=2 C=1\nLABEL x=2\nCMD first\nCMD second\nWORKDIR /x\n',
      {
        Metadata: '{"version":"v1.20.3"}',
      },
    );
    const result = await diff(one, two);
    expect(result.metadata).toEqual([{ key: 'version', from: 'v1.20.2', to: 'v1.20.3' }]);
    expect(result.env).toEqual([
      { key: 'A', from: '1', to: '2' },
      { key: 'B', from: '1', to: null },
      { key: 'C', from: null, to: '1' },
    ]);
    expect(result.labels).toContainEqual({ key: 'x', from: '1', to: '2' });
    expect(result.settings).toContainEqual({ key: 'launch.cmds', from: ['first'], to: ['first', 'second'] });
    expect(result.settings).toContainEqual({ key: 'workdir', from: null, to: '/x' });
    expect(result.applications).toMatchObject([{ name: 'web', change: 'removed', to: null }]);
    const text = await mustSlipway(['diff', one, two], { root });
    expect(text).toMatch(/Metadata:\n {2}M {3}version {3}v1\.20\.2 → v1\.20\.3\n/);
    expect(text).toMatch(/\nlayers: 0 shared, \d gone, \d new\n$/);
  });

  test('for scripts: names only, paths, counts, and the exit code', async () => {
    const one = await build('diff/s1:v1', 'FROM scratch\nCOPY . .\n', { 'etc/a': '1', 'bin/b': '1' });
    const two = await build('diff/s2:v1', 'FROM scratch\nCOPY . .\n', { 'etc/a': '2', 'bin/b': '22', etcetera: 'x' });
    const ended = (...args: string[]) => slipway(['diff', ...args], { root });
    expect((await ended('-q', one, two)).stdout).toBe('bin/b\netc/a\netcetera\n');
    expect((await ended('-q', one, two, '/etc')).stdout).toBe('etc/a\n');
    expect((await ended(one, two, 'bin')).stdout).toBe('Files:\n  M   bin/b   1B → 2B   content\n');
    expect((await ended('--stat', one, two)).stdout).toBe(
      'files: 1 added (1B), 0 removed (0B), 2 changed\nlayers: 0 shared, 1 gone, 1 new\n',
    );
    expect((await ended(one, one)).stdout).toBe('no difference\n');
    expect((await ended('--exit-code', one, one)).code).toBe(0);
    expect((await ended('--exit-code', one, two)).code).toBe(1);
    expect((await ended('--exit-code', one, two, 'nothing')).code).toBe(0);
    expect((await ended(one, two)).code).toBe(0);
    expect((await ended(one, 'diff/nothing:v1')).stderr).toMatch(/^error: no image diff\/nothing:v1 in the store/);
    expect((await ended(one, two, '../x')).code).toBe(2);
    expect((await ended(one)).code).toBe(2);
  });
});
