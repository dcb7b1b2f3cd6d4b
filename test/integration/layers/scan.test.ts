import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ScanOptions, scanTree } from '../../../src/layers/scan.js';
import { withDirectory } from './trees.js';

async function scanned(dir: string, options: ScanOptions = {}): Promise<string[]> {
  return (await scanTree(dir, options)).map(
    ({ type, path, linkTarget }) => `${type} ${path}${linkTarget === undefined ? '' : ` -> ${linkTarget}`}`,
  );
}

function makeTree(dir: string): void {
  mkdirSync(join(dir, 'b/c'), { recursive: true });
  writeFileSync(join(dir, 'b/c/two'), 'two', { mode: 0o600 });
  writeFileSync(join(dir, 'b.txt'), 'x');
  linkSync(join(dir, 'b/c/two'), join(dir, 'a'));
  symlinkSync('/nowhere', join(dir, 'b/link'));
  symlinkSync('c', join(dir, 'b/dir-link'));
}

describe('walking through a tree', () => {
  it('gives its entries in order, parents first, the first name of a file as the file', async () => {
    await withDirectory(async (dir) => {
      makeTree(dir);
      utimesSync(join(dir, 'b.txt'), 5.9, 5.9);
      expect(await scanned(dir)).toEqual([
        'file a',
        'dir b',
        'file b.txt',
        'dir b/c',
        'hardlink b/c/two -> a',
        'symlink b/dir-link -> c',
        'symlink b/link -> /nowhere',
      ]);
      const entries = await scanTree(dir);
      expect(entries[0]).toMatchObject({ size: 3, mode: 0o600, content: { file: join(dir, 'a') } });
      expect(entries[2]?.mtime).toBe(5);
      expect(entries[4]).toMatchObject({ size: 0 });
    });
  });

  it('puts a prefix before every path, hard links too', async () => {
    await withDirectory(async (dir) => {
      makeTree(dir);
      const paths = await scanned(dir, { prefix: 'opt/app', includeRoot: true });
      expect(paths.slice(0, 2)).toEqual(['dir opt/app', 'file opt/app/a']);
      expect(paths).toContain('hardlink opt/app/b/c/two -> opt/app/a');
      expect((await scanned(dir, { includeRoot: true }))[0]).toBe('dir ');
    });
  });

  it('leaves out what the filter does, and all that is in it', async () => {
    await withDirectory(async (dir) => {
      makeTree(dir);
      expect(await scanned(dir, { filter: (path) => path !== 'b/c' && path !== 'a' })).toEqual([
        'dir b',
        'file b.txt',
        'symlink b/dir-link -> c',
        'symlink b/link -> /nowhere',
      ]);
    });
  });

  it('keeps names and links that are not UTF-8, and names with the replacement character', async () => {
    await withDirectory(async (dir) => {
      const odd = Buffer.concat([Buffer.from(`${dir}/x`), Buffer.from([0xff])]);
      mkdirSync(odd);
      writeFileSync(Buffer.concat([odd, Buffer.from('/y\u{fffd}')]), 'content');
      symlinkSync(Buffer.from([0xfe]), join(dir, 'z'));
      expect(await scanned(dir)).toEqual(['dir x\udcff', 'file x\udcff/y\ufffd', 'symlink z -> \udcfe']);
    });
  });

  it('keeps FIFOs and devices', async () => {
    await withDirectory(async (dir) => {
      execFileSync('mkfifo', [join(dir, 'pipe')]);
      execFileSync('mknod', [join(dir, 'device'), 'b', '259', '70000']);
      expect(await scanTree(dir)).toMatchObject([
        { path: 'device', type: 'block', devMajor: 259, devMinor: 70000 },
        { path: 'pipe', type: 'fifo' },
      ]);
    });
  });

  it('takes devices 0/0 for whiteouts only when asked', async () => {
    await withDirectory(async (dir) => {
      execFileSync('mknod', [join(dir, 'one'), 'c', '0', '0']);
      linkSync(join(dir, 'one'), join(dir, 'two'));
      expect(await scanned(dir, { overlay: true })).toEqual(['whiteout one', 'whiteout two']);
      await expect(scanTree(dir)).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
        message: expect.stringContaining(join(dir, 'one')),
      });
    });
  });

  it('refuses sockets by name', async () => {
    await withDirectory(async (dir) => {
      const socket = join(dir, 'sock');
      const server = createServer().listen(socket);
      await new Promise((resolve) => server.once('listening', () => resolve(undefined)));
      try {
        await expect(scanTree(dir)).rejects.toMatchObject({
          code: 'E_UNSUPPORTED',
          message: expect.stringContaining(socket),
        });
        expect(await scanned(dir, { filter: (path) => path !== 'sock' })).toEqual([]);
      } finally {
        server.close();
      }
    });
  });

  it('says so when there is no directory', async () => {
    await withDirectory(async (dir) => {
      writeFileSync(join(dir, 'file'), '');
      await expect(scanTree(join(dir, 'none'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      await expect(scanTree(join(dir, 'file'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });
  });

  it('stops when it is told to', async () => {
    await withDirectory(async (dir) => {
      for (let index = 0; index < 2100; index++) writeFileSync(join(dir, String(index)), '');
      await expect(scanTree(dir, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    });
  });
});
