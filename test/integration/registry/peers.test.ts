import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { readImage } from '../../../src/store/local-image.js';
import { writeHtpasswd } from './support/htpasswd.js';
import { tagSmallImage } from './support/images.js';
import { must, run, start } from './support/programs.js';
import { testDir, testServer, testStore } from './support/server.js';

/** Real clients push to our server and pull from it. */
describe('skopeo', () => {
  test('copies in, lists, inspects, copies out, deletes', async () => {
    const server = await testServer();
    const [store, dir] = [await testStore(), await testDir()];
    const { digest } = await tagSmallImage(store, 'x:1', { layers: [{ a: randomBytes(5_000_000) }, { b: 'b' }] });
    const name = `docker://${server.address}/team/x:1`;
    await must('skopeo', ['copy', '--dest-tls-verify=false', `oci:${store.root}:x:1`, name]);
    expect((await readImage(server.store, 'team/x:1')).descriptor.digest).toBe(digest);
    expect(
      JSON.parse(await must('skopeo', ['list-tags', '--tls-verify=false', `docker://${server.address}/team/x`])).Tags,
    ).toEqual(['1']);
    expect(JSON.parse(await must('skopeo', ['inspect', '--tls-verify=false', name])).Digest).toBe(digest);
    await must('skopeo', ['copy', '--src-tls-verify=false', name, `oci:${dir}:out`]);
    await must('skopeo', [
      'copy',
      '--src-tls-verify=false',
      '--dest-tls-verify=false',
      '--format',
      'v2s2',
      name,
      `docker://${server.address}/team/y:1`,
    ]);
    await must('skopeo', ['delete', '--tls-verify=false', name]);
    expect((await server.store.images()).map((image) => image.name)).toEqual(['team/y:1']);
  });

  test('what was deleted is not there, and can be copied in again', async () => {
    const server = await testServer();
    const store = await testStore();
    const { digest } = await tagSmallImage(store, 'x:1');
    const name = `docker://${server.address}/x`;
    const copyIn = (tag: string) =>
      must('skopeo', ['copy', '--dest-tls-verify=false', `oci:${store.root}:x:1`, `${name}:${tag}`]);
    const inspect = (reference: string) =>
      run('skopeo', ['inspect', '--raw', '--tls-verify=false', `${name}${reference}`]);
    await copyIn('1');
    await copyIn('2');
    await must('skopeo', ['delete', '--tls-verify=false', `${name}:1`]);
    for (const reference of [':1', ':2', `@${digest}`])
      expect(await inspect(reference)).toMatchObject({ code: 1, stderr: expect.stringContaining('manifest unknown') });
    await copyIn('3');
    expect(await inspect(':3')).toMatchObject({ code: 0 });
    expect(await inspect(`@${digest}`)).toMatchObject({ code: 0 });
    expect(await inspect(':1')).toMatchObject({ code: 1 });
  });

  test('synchronises a whole repository to a directory', async () => {
    const server = await testServer();
    const dir = await testDir();
    for (const tag of ['1', '2']) await tagSmallImage(server.store, `team/x:${tag}`);
    const from = `${server.address}/team/x`;
    await must('skopeo', ['sync', '--src', 'docker', '--dest', 'dir', '--src-tls-verify=false', from, dir]);
    expect((await readdir(dir)).sort()).toEqual(['x:1', 'x:2']);
  });

  test('many at once push the same layers under different names', async () => {
    const server = await testServer();
    const store = await testStore();
    const { digest } = await tagSmallImage(store, 'x:1', { layers: [{ a: randomBytes(3_000_000) }, { b: 'b' }] });
    const names = Array.from({ length: 8 }, (_, index) => `many/x${index}`);
    await Promise.all(
      names.map((name) =>
        must('skopeo', [
          'copy',
          '--dest-tls-verify=false',
          `oci:${store.root}:x:1`,
          `docker://${server.address}/${name}:1`,
        ]),
      ),
    );
    expect((await server.store.images()).map(({ name }) => name)).toEqual(names.map((name) => `${name}:1`));
    for (const name of names) expect((await readImage(server.store, `${name}:1`)).descriptor.digest).toBe(digest);
  });

  test('with a password', async () => {
    const dir = await testDir();
    await writeHtpasswd(join(dir, 'users'), { bert: 'secret-of-bert' });
    const server = await testServer({ htpasswd: join(dir, 'users') });
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const auth = join(dir, 'auth.json');
    await must(
      'skopeo',
      ['login', '--tls-verify=false', '--authfile', auth, '-u', 'bert', '--password-stdin', server.address],
      { input: 'secret-of-bert' },
    );
    await must('skopeo', [
      'copy',
      '--authfile',
      auth,
      '--dest-tls-verify=false',
      `oci:${store.root}:x:1`,
      `docker://${server.address}/x:1`,
    ]);
    expect(await server.store.images()).toHaveLength(1);
  });
});

describe.each(['buildah', 'podman'])('%s', (program) => {
  test('pushes to us and pulls from us', async () => {
    const server = await testServer();
    const dir = await testDir();
    const flags = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
    await writeFile(join(dir, 'Containerfile'), 'FROM scratch\nCOPY content /content\nLABEL made=here\n');
    await writeFile(join(dir, 'content'), randomBytes(300_000));
    const name = `${server.address}/built:1`;
    await must('buildah', [...flags, 'bud', '-t', name, '-f', join(dir, 'Containerfile'), dir]);
    onTestFinished(async () => {
      await must('buildah', [...flags, 'rmi', '--all', '--force']);
    });
    await must(program, [...flags, 'push', '--tls-verify=false', name]);
    const image = await readImage(server.store, 'built:1');
    expect(image.config.config?.Labels?.made).toBe('here');

    const ours = await testStore();
    await pullImage(ours, name);
    await pushImage(ours, name, { to: `${server.address}/again:1` });
    await must(program, [...flags, 'pull', '--tls-verify=false', `${server.address}/again:1`]);
  });
});

describe('podman', () => {
  test('searches and lists tags', async () => {
    const server = await testServer();
    for (const name of ['team/x:1', 'team/x:2', 'apps/web:1']) await tagSmallImage(server.store, name);
    const search = (...args: string[]) => must('podman', ['search', '--tls-verify=false', '--format', 'json', ...args]);
    const tags = JSON.parse(await search('--list-tags', `${server.address}/team/x`));
    expect(tags).toMatchObject([{ Name: `${server.address}/team/x`, Tags: ['1', '2'] }]);
    const found = JSON.parse(await search(`${server.address}/`)) as { readonly Name: string }[];
    expect(found.map(({ Name }) => Name).sort()).toEqual([`${server.address}/apps/web`, `${server.address}/team/x`]);
  });
});

describe('curl', () => {
  test('uploads a file that it asks leave for first (Expect: 100-continue)', async () => {
    const server = await testServer();
    const dir = await testDir();
    const content = randomBytes(3_000_000);
    await writeFile(join(dir, 'blob'), content);
    const curl = (...args: string[]) => must('curl', ['-sS', '--fail', '-D', '-', '-o', '/dev/null', ...args]);
    const url = `http://${server.address}`;
    const begun = await curl('-X', 'POST', `${url}/v2/x/blobs/uploads/`);
    const location = /^location: (\S+)/im.exec(begun)?.[1] ?? '';
    const upload = ['-H', 'Expect: 100-continue', '-T', join(dir, 'blob')];
    const done = await curl(...upload, `${url}${location}?digest=${digestOf(content)}`);
    expect(done).toMatch(/^HTTP\/1\.1 100 Continue/);
    expect(done).toContain('HTTP/1.1 201 Created');
    expect(await server.store.blobSize(digestOf(content))).toBe(content.byteLength);
  });
});

describe('containerd', () => {
  test('ctr pulls from us and pushes to us', async () => {
    const server = await testServer();
    const [store, dir] = [await testStore(), await testDir()];
    const { digest } = await tagSmallImage(store, 'x:1', { layers: [{ 'usr/a': randomBytes(100_000) }] });
    const name = `${server.address}/team/x:1`;
    await pushImage(store, 'x:1', { to: name });

    const socket = join(dir, 'containerd.sock');
    const config = join(dir, 'config.toml');
    await writeFile(
      config,
      `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n[grpc]\naddress = "${socket}"\n[ttrpc]\naddress = "${socket}.ttrpc"\n`,
    );
    const daemon = start('containerd', ['--config', config]);
    onTestFinished(() => daemon.stop());
    await daemon.waitFor(/containerd successfully booted/);
    const ctr = (...args: string[]): Promise<string> => must('ctr', ['--address', socket, ...args]);
    await ctr('images', 'pull', '--plain-http', '--snapshotter', 'native', name);
    expect(await ctr('images', 'ls')).toContain(digest);
    const again = `${server.address}/team/again:1`;
    await ctr('images', 'tag', name, again);
    await ctr('images', 'push', '--plain-http', again);
    expect((await readImage(server.store, 'team/again:1')).descriptor.digest).toBe(digest);
  });
});
