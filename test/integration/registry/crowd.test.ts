import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { catalog, Repository } from '../../../src/registry/client.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { collect } from '../../../src/store/collect.js';
import { Store } from '../../../src/store/store.js';
import { mustSlipway } from '../../support/slipway.js';
import { tagSmallImage } from './support/images.js';
import { pushBlob, send } from './support/raw.js';
import { serve } from './support/serve.js';
import { testStore } from './support/server.js';

const CLIENTS = 50;

test('fifty clients push and pull the same and other images while names are removed and the store is pruned', async () => {
  const server = await serve();
  const source = await testStore();
  const shared = { shared: randomBytes(500_000) };
  const images = await Promise.all(
    Array.from({ length: 5 }, (_, index) =>
      tagSmallImage(source, `image:${index}`, { layers: [shared, { own: randomBytes(100_000) }] }),
    ),
  );
  const options = { retryDelay: 50 };
  const at = (name: string): string => `${server.address}/${name}`;
  await pushImage(source, 'image:0', { to: at('same:v1'), ...options });

  // Another process on the server's machine.
  const admin = await Store.open(server.root);
  onTestFinished(() => admin.close());
  let over = false;
  let collections = 0;
  const removed = new Set<string>();
  const tidying = (async () => {
    while (!over) {
      for (const { name } of await admin.images()) {
        if (!name.startsWith('victim')) continue;
        if (await admin.untag(name)) removed.add(name);
      }
      if ((await collect(admin, { unfinished: true })) !== undefined) collections++;
      await sleep(20);
    }
  })();

  const client = async (index: number): Promise<void> => {
    const image = `image:${index % images.length}`;
    switch (index % 5) {
      case 0: {
        const pulled = await pullImage(await testStore(), at('same:v1'), options);
        expect(pulled.descriptor.digest).toBe(images[0]?.digest);
        return;
      }
      case 1:
        await pushImage(source, image, { to: at(`own${index}:v1`), ...options });
        return;
      case 2:
        await pushImage(source, 'image:1', { to: at('same:v2'), ...options });
        return;
      case 3: {
        // what nobody else has
        const own = await testStore();
        const { digest } = await tagSmallImage(own, 'own:1', { layers: [shared, { own: randomBytes(100_000) }] });
        await pushImage(own, 'own:1', { to: at(`other${index}:v1`), ...options });
        expect((await new Repository(server.address, `other${index}`, options).resolve('v1')).digest).toBe(digest);
        return;
      }
      default:
        await pushImage(source, image, { to: at(`victim${index}:v1`), ...options });
    }
  };
  try {
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
    await expect.poll(() => removed.size, { timeout: 60_000 }).toBe(CLIENTS / 5);
    await expect.poll(() => collections, { timeout: 60_000 }).toBeGreaterThan(0);
  } finally {
    over = true;
    await tidying;
  }
  const expected = ['same', ...Array.from({ length: CLIENTS }, (_, index) => index).flatMap(nameOf)].sort();
  expect(await catalog(server.address)).toEqual(expected);
  await mustSlipway(['prune', '--build-cache'], { root: server.root });
  await mustSlipway(['store', 'check'], { root: server.root });
  for (const repository of expected) {
    const tag = repository === 'same' ? 'v2' : 'v1';
    await pullImage(await testStore(), at(`${repository}:${tag}`), options);
  }
});

function nameOf(index: number): string[] {
  return index % 5 === 1 ? [`own${index}`] : index % 5 === 3 ? [`other${index}`] : [];
}

test('memory does not grow with clients and blobs', async () => {
  const server = await serve();
  const content = randomBytes(20_000_000);
  const digest = digestOf(content);
  expect(await pushBlob(server.address, 'a', content, digest)).toMatchObject({ status: 201 });
  const sizes = await Promise.all(Array.from({ length: CLIENTS }, () => download(server.address, digest)));
  expect(new Set(sizes)).toEqual(new Set([content.byteLength]));
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const { headers } = await send(server.address, 'POST', '/v2/a/blobs/uploads/');
      return (await send(server.address, 'PATCH', String(headers.location), {}, content)).status;
    }),
  );
  expect(new Set(answers)).toEqual(new Set([202]));
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  // What all of them move is a gigabyte each way. Node's heap alone is 140 to 200 MB, as the machine is busy.
  expect(peak).toBeLessThan(320);
});

/** Reads slowly: everything that the server sends ahead has to wait somewhere. */
function download(address: string, digest: string): Promise<number> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, path: `/v2/a/blobs/${digest}`, agent: false }, async (response) => {
      try {
        let size = 0;
        for await (const chunk of response) {
          const before = size;
          size += (chunk as Buffer).byteLength;
          if (Math.floor(size / 1e6) > Math.floor(before / 1e6)) await sleep(10);
        }
        resolve(size);
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject);
  });
}
