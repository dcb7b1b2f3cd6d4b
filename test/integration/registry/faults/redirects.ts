import { describe, expect, onTestFinished } from 'vitest';
import { MEDIA } from '../../../../src/image/media-types.js';
import { pullImage } from '../../../../src/registry/pull.js';
import { pushImage } from '../../../../src/registry/push.js';
import { readImage } from '../../../../src/store/local-image.js';
import { startDockerRegistry } from '../support/docker-registry.js';
import { faultProxy, type SeenRequest } from '../support/fault-proxy.js';
import { putDocument } from '../support/images.js';
import { testServer, testStore } from '../support/server.js';
import { ANNA, lab, pullThrough, QUICK } from './lab.js';
import { fault, refused, survived, times } from './table.js';

/** Wants a password, whichever, and remembers nothing. */
function wantsPassword({ headers }: SeenRequest) {
  if (headers.authorization !== undefined) return undefined;
  return { respond: { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } } };
}

export function redirects(): void {
  describe('redirects', () => {
    fault('blobs on another host', async () => {
      const { origin, registry, image } = lab();
      const guarded = await startDockerRegistry({ users: { [ANNA.username]: ANNA.password } });
      onTestFinished(() => guarded.close());
      const options = { ...QUICK, credential: ANNA };
      await pushImage(origin, 'x:1', { to: `${guarded.address}/x:1`, ...options });
      const storage = await faultProxy(registry.address, () => undefined);
      const front = await faultProxy(guarded.address, ({ method, path }) =>
        method === 'GET' && path.includes('/blobs/')
          ? { respond: { status: 307, headers: { location: `http://${storage.address}${path}?signature=a%2Bb` } } }
          : undefined,
      );
      const store = await testStore();
      expect((await pullImage(store, `${front.address}/x:1`, options)).descriptor.digest).toBe(image.digest);
      expect(front.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
      expect(
        storage.requests.map(({ headers, path }) => [headers.authorization, path.includes('?signature=a%2Bb')]),
      ).toEqual(Array(3).fill([undefined, true]));
      return survived('fetched them there, without the credentials');
    });

    fault('another host that asks for a password', async () => {
      const { big } = lab();
      const storage = await faultProxy(lab().registry.address, wantsPassword);
      const { pulled, proxy } = await pullThrough(
        (request) =>
          wantsPassword(request) ??
          (request.path.endsWith(big.digest)
            ? { respond: { status: 307, headers: { location: `http://${storage.address}${request.path}` } } }
            : undefined),
        { ...QUICK, credential: ANNA },
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
      expect(proxy.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
      expect(storage.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
      return refused('E_UNAUTHORIZED; that host got nothing');
    });

    fault('a redirect loop', async () => {
      const { big } = lab();
      const { pulled, proxy } = await pullThrough(({ path }) =>
        path.includes('/blobs/') ? { respond: { status: 302, headers: { location: path } } } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', message: expect.stringContaining('redirects') });
      const asked = proxy.seen('GET', new RegExp(big.digest)).length;
      expect(asked).toBeLessThan(12);
      return refused(`E_REGISTRY after ${times(asked)}`);
    });

    for (const target of ['file:///etc/passwd', 'ftp://127.0.0.1/x']) {
      fault(`a redirect to ${target.slice(0, 7)}`, async () => {
        const { pulled } = await pullThrough(({ path }) =>
          path.includes('/blobs/') ? { respond: { status: 302, headers: { location: target } } } : undefined,
        );
        await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', message: expect.stringContaining('refused') });
        return refused('E_REGISTRY: not followed');
      });
    }

    fault('a redirect that does not say where', async () => {
      const { pulled } = await pullThrough(({ path }) =>
        path.includes('/blobs/') ? { respond: { status: 307 } } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', message: expect.stringContaining('307') });
      return refused('E_REGISTRY');
    });

    fault('an upload that goes on at another host', async () => {
      const server = await testServer();
      const elsewhere = await faultProxy(server.address, () => undefined);
      const front = await faultProxy(
        server.address,
        (request) =>
          wantsPassword(request) ??
          (request.method === 'POST'
            ? { headers: ({ location }) => ({ location: `http://${elsewhere.address}${location}` }) }
            : undefined),
      );
      await pushImage(lab().origin, 'x:1', { to: `${front.address}/up:1`, ...QUICK, credential: ANNA });
      expect((await readImage(server.store, 'up:1')).descriptor.digest).toBe(lab().image.digest);
      expect(elsewhere.requests.length).toBeGreaterThanOrEqual(3);
      expect(elsewhere.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
      return survived('uploaded there, without the credentials');
    });

    fault('an upload whose PUT is redirected to another host', async () => {
      const server = await testServer();
      const elsewhere = await faultProxy(server.address, () => undefined);
      const front = await faultProxy(
        server.address,
        (request) =>
          wantsPassword(request) ??
          (request.method === 'PUT' && request.path.includes('uploads')
            ? { respond: { status: 307, headers: { location: `http://${elsewhere.address}${request.path}` } } }
            : undefined),
      );
      await pushImage(lab().origin, 'x:1', { to: `${front.address}/up:1`, ...QUICK, credential: ANNA });
      expect((await readImage(server.store, 'up:1')).descriptor.digest).toBe(lab().image.digest);
      expect(elsewhere.requests.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill(undefined));
      return survived('sent the content again there, without the credentials');
    });

    fault('a layer with urls', async () => {
      const elsewhere = await faultProxy(lab().registry.address, () => ({
        respond: { status: 200, body: 'licensed' },
      }));
      const server = await testServer();
      const store = await testStore();
      const config = { mediaType: MEDIA.config, ...(await store.putBlob(Buffer.from('{"rootfs":{"diff_ids":[]}}'))) };
      const licensed = await store.putBlob(Buffer.from('licensed'));
      const layer = {
        mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
        ...licensed,
        urls: [`http://${elsewhere.address}/licensed`],
      };
      const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers: [layer] };
      await store.tag('licensed:1', await putDocument(store, manifest));
      await pushImage(store, 'licensed:1', { to: `${server.address}/licensed:1` });
      const options = { ...QUICK, credential: ANNA };
      await pullImage(await testStore(), `${server.address}/licensed:1`, options).catch(() => {});
      expect(elsewhere.requests).toEqual([]);
      return survived('asked nobody at the urls');
    });
  });
}
