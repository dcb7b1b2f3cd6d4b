import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imageTree } from '../../../support/image-tree.js';
import { mustSlipway, slipway, startSlipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

describe.each(['COPY', 'ADD'])('%s', (word) => {
  it('takes a FIFO as a FIFO and does not wait for it', async () => {
    const dir = context(`FROM scratch\n${word} d pipe /\n`, { 'd/f': '' });
    execFileSync('mkfifo', [join(dir, 'pipe'), join(dir, 'd/inner')]);
    await mustSlipway(['build', '-q', '-t', 'fifo', dir], { root });
    expect(await imageTree(root, 'fifo')).toEqual(['f 644 0:0 file', 'inner 644 0:0 fifo', 'pipe 644 0:0 fifo']);
  });

  it('keeps names of any bytes', async () => {
    const dir = context(`FROM scratch\n${word} d /d/\n`, {
      'd/new\nline': 'x',
      'd/blank space': '',
      'd/*': '',
      'd/ü': '',
    });
    execFileSync('perl', ['-e', 'open F, ">", "$ARGV[0]/d/latin\\xe9" or die', dir]);
    await mustSlipway(['build', '-q', '-t', 'names', dir], { root });
    const again = await slipway(['build', '-t', 'names', dir], { root });
    expect(again.stderr).toContain('1/1] cached');
    expect((await imageTree(root, 'names')).map((line) => line.split(' 644')[0])).toEqual([
      'd 755 0:0 dir',
      'd/*',
      'd/blank space',
      'd/latin\udce9',
      'd/new\nline',
      'd/ü',
    ]);
  });

  it('a secret outside is in no layer, however it is asked for', async () => {
    const dir = context(`FROM scratch\n${word} d /d/\n${word} w* /w/\n`, { 'd/f': '' });
    writeFileSync(join(home, 'secret'), 'the secret of the machine');
    symlinkSync(join(home, 'secret'), join(dir, 'd/absolute'));
    symlinkSync('../../../secret', join(dir, 'd/relative'));
    symlinkSync('../../secret', join(dir, 'wild'));
    await mustSlipway(['build', '-q', '-t', 'outside', dir], { root });
    for (const line of await imageTree(root, 'outside')) expect(line).not.toMatch(/(?:absolute|relative|wild) 644/);
    for (const source of ['d/absolute', 'd/relative', 'wild', '../../secret', 'd/../../../secret']) {
      writeFileSync(join(dir, 'Kubefile'), `FROM scratch\n${word} ${source} /x\n`);
      const { code, stderr } = await slipway(['build', dir], { root });
      expect(code, source).toBe(1);
      expect(stderr).not.toContain('the secret of the machine');
    }
  });
});

describe('a context that changes while it is packed', () => {
  it('never lets anything from outside in', async () => {
    const dir = context('FROM scratch\nCOPY d /d/\n');
    const outside = writeTree(join(home, 'outside'), { 'swap/0': 'secret '.repeat(1000) });
    for (let n = 0; n < 60; n++) {
      mkdirSync(join(dir, `d/${n}`), { recursive: true });
      writeFileSync(join(dir, `d/${n}/0`), 'c'.repeat(7000));
    }
    symlinkSync(join(outside, 'swap'), join(dir, 'link'));
    for (let attempt = 0; attempt < 6; attempt++) {
      const store = join(home, `store-race-${attempt}`);
      const run = startSlipway(['build', '-t', 'race', '--no-cache', dir], { root: store });
      let over = false;
      const ended = run.ended.finally(() => {
        over = true;
      });
      while (!over) {
        // a directory becomes a link out of the context, and a directory again
        renameSync(join(dir, 'd/59'), join(dir, 'parked'));
        renameSync(join(dir, 'link'), join(dir, 'd/59'));
        await new Promise((resolve) => setImmediate(resolve));
        renameSync(join(dir, 'd/59'), join(dir, 'link'));
        renameSync(join(dir, 'parked'), join(dir, 'd/59'));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { code, stderr } = await ended;
      if (code !== 0) expect(stderr).toMatch(/changed while|vanished while|over the|is not in/);
      const blobs = execFileSync(
        'sh',
        ['-c', `for f in ${store}/blobs/sha256/*; do zcat -f "$f" 2>/dev/null; done | grep -c "secret secret" || true`],
        { encoding: 'utf8' },
      );
      expect(blobs.trim()).toBe('0');
    }
    expect(readdirSync(join(home, 'outside', 'swap'))).toEqual(['0']);
  });
});
