import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf, hexOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import type { Descriptor } from '../../../src/image/oci.js';
import { tryLock, withLock } from '../../../src/store/locks.js';
import { Store } from '../../../src/store/store.js';
import { TempSpace } from '../../../src/store/temp.js';
import { tempDirectory } from '../../support/temp.js';

const root = tempDirectory();
let next = 0;
const newStore = (): Promise<Store> => Store.open(join(root, String(next++)));
const descriptor = (text: string): Descriptor => ({
  mediaType: MEDIA.manifest,
  digest: digestOf(text),
  size: text.length,
});

describe('blobs', () => {
  it('are stored under their digest and read back verified', async () => {
    const store = await newStore();
    const writer = await store.newBlob();
    await writer.write(Buffer.from('hello '));
    await writer.write(Buffer.from('world'));
    const stored = await writer.commit({ digest: digestOf('hello world'), size: 11 });
    expect(stored).toEqual({ digest: digestOf('hello world'), size: 11 });
    expect((await store.readBlob(stored, 100)).toString()).toBe('hello world');
    expect(await store.blobSize(stored.digest)).toBe(11);
  });

  it('with the wrong digest or size are not stored, and leave nothing behind', async () => {
    const store = await newStore();
    for (const [expected, code] of [
      [{ digest: digestOf('other') }, 'E_DIGEST_MISMATCH'],
      [{ size: 4 }, 'E_SIZE_MISMATCH'],
    ] as const) {
      const writer = await store.newBlob();
      await writer.write(Buffer.from('hello'));
      await expect(writer.commit(expected)).rejects.toMatchObject({ code });
    }
    expect(await readdir(join(store.root, 'blobs', 'sha256'))).toEqual([]);
    expect(await leftInTemp(store)).toEqual([]);
  });

  it('that were damaged on the disk are noticed when they are read', async () => {
    const store = await newStore();
    const blob = await store.putBlob(Buffer.from('hello'));
    await writeFile(store.blobPath(blob.digest), 'jello');
    await expect(store.readBlob(blob, 100)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    await writeFile(store.blobPath(blob.digest), 'hell');
    await expect(store.readBlob(blob, 100)).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
    await expect(store.readBlob({ ...blob, digest: digestOf('absent') }, 100)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
    });
    await expect(store.readBlob({ ...blob, size: 1000 }, 100)).rejects.toMatchObject({ code: 'E_INVALID_MANIFEST' });
  });

  it('with sha512 digests are kept too', async () => {
    const store = await newStore();
    const digest =
      `sha512:${'9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043'}` as ReturnType<
        typeof digestOf
      >;
    const writer = await store.newBlob(digest);
    await writer.write(Buffer.from('hello'));
    expect(await writer.commit({ digest })).toEqual({ digest, size: 5 });
  });
});

describe('names', () => {
  it('are an OCI layout that can be read at any time', async () => {
    const store = await newStore();
    await store.tag('localhost:5000/k8s:v1', descriptor('one'));
    await store.tag('b:latest', descriptor('two'));
    await store.tag('b:latest', descriptor('three'));
    expect((await store.images()).map(({ name }) => name)).toEqual(['b:latest', 'localhost:5000/k8s:v1']);
    expect(await store.resolve('b:latest')).toEqual(descriptor('three'));
    const index: unknown = JSON.parse(await readFile(join(store.root, 'index.json'), 'utf8'));
    expect(index).toMatchObject({
      schemaVersion: 2,
      manifests: [{ annotations: { 'org.opencontainers.image.ref.name': 'localhost:5000/k8s:v1' } }, {}],
    });
    expect(await store.untag('b:latest')).toBe(true);
    expect(await store.untag('b:latest')).toBe(false);
  });

  it('given at the same time are all kept', async () => {
    const store = await newStore();
    const others = await Promise.all(Array.from({ length: 3 }, () => Store.open(store.root)));
    await Promise.all(
      [store, ...others].flatMap((one, s) => [0, 1, 2].map((n) => one.tag(`x${s}-${n}:latest`, descriptor('x')))),
    );
    expect(await store.images()).toHaveLength(12);
  });

  it('are refused when index.json is damaged, with its path', async () => {
    const store = await newStore();
    await writeFile(join(store.root, 'index.json'), '{"schemaVersion":2,');
    await expect(store.images()).rejects.toMatchObject({
      code: 'E_STORE',
      message: expect.stringContaining('index.json'),
    });
  });
});

describe('what the blob of a layer unpacks to', () => {
  const [blob, diffId] = [digestOf('blob'), digestOf('tar')];
  const note = (store: Store): string => join(store.root, 'cache/diff-ids', hexOf(blob));

  it('is known once it was noted, until it is forgotten', async () => {
    const store = await newStore();
    expect(await store.diffIdOf(blob)).toBeUndefined();
    await store.noteDiffId(blob, diffId);
    expect(await store.diffIdOf(blob)).toBe(diffId);
    await store.forgetNotes(blob);
    expect(await store.diffIdOf(blob)).toBeUndefined();
  });

  // Notes are not made durable one by one. A digest that is well-formed and another one is nothing that a power cut makes of them.
  it('is not known by a note that a power cut has spoilt', async () => {
    const store = await newStore();
    await store.noteDiffId(blob, diffId);
    const whole = await readFile(note(store));
    const zeros = Buffer.alloc(whole.length);
    const cuts = Array.from(whole, (_, length) => whole.subarray(0, length)); // the first is empty
    for (const spoilt of [zeros, ...cuts, ...cuts.map((cut) => Buffer.concat([cut, zeros.subarray(cut.length)]))]) {
      await writeFile(note(store), spoilt);
      expect(await store.diffIdOf(blob), JSON.stringify(spoilt.toString())).toBeUndefined();
    }
    await store.noteDiffId(blob, diffId);
    expect(await store.diffIdOf(blob)).toBe(diffId);
  });
});

describe('locks', () => {
  it('exclude, share, and wait', async () => {
    const file = join(root, 'lock-1');
    const shared = await tryLock(file, 'shared', { waitSeconds: 0 });
    const second = await tryLock(file, 'shared', { waitSeconds: 0 });
    expect(await tryLock(file, 'exclusive', { waitSeconds: 0 })).toBeUndefined();
    await expect(withLock(file, 'exclusive', 'the thing', async () => {}, { waitSeconds: 0 })).rejects.toMatchObject({
      code: 'E_LOCKED',
      message: 'the thing is in use by another process',
    });
    await shared?.release();
    await second?.release();
    expect(await withLock(file, 'exclusive', 'x', async () => 'mine', { waitSeconds: 0 })).toBe('mine');
  });

  it('say who holds them, and nobody who has ended, only waits, or has the file open', async () => {
    const file = join(root, 'lock-3');
    await writeFile(file, 'flock (process 1 of somebody)\n');
    const started = (line: string) => {
      const child = spawn('sh', ['-c', line, 'sh', file], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
      return new Promise<typeof child>((resolve) => child.stdout.once('data', () => resolve(child)));
    };
    const message = () =>
      withLock(file, 'exclusive', 'the thing', async () => 'mine', { waitSeconds: 0 }).catch(
        (error: Error) => error.message,
      );
    const ended = await started('exec 3>>"$1"; flock 3; echo; exec sleep 60');
    process.kill(-(ended.pid ?? 0), 'SIGKILL');
    await new Promise((resolve) => ended.once('exit', resolve));
    const [open, holder] = [
      await started('exec 3>>"$1"; echo; exec sleep 61'),
      await started('exec 3>>"$1"; flock 3; echo; exec sleep 62'),
    ];
    const waiter = await started('exec 3>>"$1"; echo; exec flock 3');
    try {
      expect(await message()).toMatch(
        new RegExp(
          `^the thing is in use by sleep \\(process ${holder.pid} of ${userInfo().username}, since \\d{4}-[-0-9: ]{14}\\)$`,
        ),
      );
    } finally {
      for (const { pid } of [open, holder, waiter]) process.kill(-(pid ?? 0), 'SIGKILL');
    }
  });

  it('end with the process that holds them, kill -9 included', async () => {
    const file = join(root, 'lock-2');
    const holder = spawn('flock', ['-x', file, 'sh', '-c', 'echo locked; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      detached: true,
    });
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    expect(await tryLock(file, 'exclusive', { waitSeconds: 0 })).toBeUndefined();
    process.kill(-(holder.pid as number), 'SIGKILL');
    const held = await tryLock(file, 'exclusive', { waitSeconds: 10 });
    expect(held).toBeDefined();
    await held?.release();
  });
});

describe('temporary space', () => {
  it('is swept of what dead processes left, and only of that', async () => {
    const dir = join(root, 'tmp-1');
    const living = new TempSpace(dir);
    const mine = await living.path('mine');
    await writeFile(mine, 'mine');
    await mkdir(join(dir, 'dead'));
    await writeFile(join(dir, 'dead', '0-blob'), 'half');
    const other = new TempSpace(dir);
    await other.path('x');
    expect(await readFile(mine, 'utf8')).toBe('mine');
    expect(await readdir(dir)).not.toContain('dead');
    await other.close();
    await living.close();
    expect(await readdir(dir)).toEqual([]);
  });
});

describe('opening', () => {
  it('makes the layout anew where a power cut has left it empty, and removes what killed processes have left of it', async () => {
    const dir = join(root, 'cut');
    await mkdir(dir);
    for (const name of ['oci-layout', 'oci-layout.123', 'oci-layout.mine']) await writeFile(join(dir, name), '');
    await Promise.all([Store.open(dir), Store.open(dir), Store.open(dir)]);
    expect(await readFile(join(dir, 'oci-layout'), 'utf8')).toBe('{"imageLayoutVersion":"1.0.0"}');
    expect((await readdir(dir)).filter((name) => name.startsWith('oci-layout.'))).toEqual(['oci-layout.mine']);
  });

  it('refuses a layout of another version and a place that is no directory', async () => {
    const dir = join(root, 'other');
    await mkdir(dir);
    await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"9.0"}');
    await expect(Store.open(dir)).rejects.toMatchObject({ code: 'E_STORE' });
    await symlink('/proc/self/nonexistent', join(root, 'link'));
    await expect(Store.open(join(root, 'link'))).rejects.toThrow();
  });
});

describe('using and deleting', () => {
  it('nobody deletes while somebody uses the store', async () => {
    const store = await newStore();
    const other = await Store.open(store.root);
    await store.use(() =>
      store.use(async () => expect(await other.exclusively(async () => 'deleted')).toBeUndefined()),
    );
    expect(await other.exclusively(async () => 'deleted')).toBe('deleted');
  });
});

async function leftInTemp(store: Store): Promise<string[]> {
  const corners = await readdir(join(store.root, 'tmp'));
  const files = await Promise.all(corners.map((corner) => readdir(join(store.root, 'tmp', corner))));
  return files.flat().filter((name) => name !== 'lock');
}
