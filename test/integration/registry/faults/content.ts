import { gzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { digestOf } from '../../../../src/image/digest.js';
import { MEDIA } from '../../../../src/image/media-types.js';
import { expectNothingStored, expectPulled, isBlob, isManifest, lab, pullThrough } from './lab.js';
import { fault, refused, survived, times } from './table.js';

const isAnyManifest = ({ path }: { readonly path: string }): boolean => path.includes('/manifests/');

export function content(): void {
  describe('blobs that are not what was named', () => {
    for (const which of ['layer', 'config'] as const) {
      fault(`a ${which} with a wrong digest`, async () => {
        const blob = which === 'layer' ? lab().big : lab().config;
        const { pulled, proxy, store } = await pullThrough((request) =>
          isBlob(request, blob) ? { body: flipped } : undefined,
        );
        await expect(pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
        expect(proxy.seen('GET', new RegExp(blob.digest))).toHaveLength(1);
        expect(await store.blobSize(blob.digest)).toBeUndefined();
        await expectNothingStored(store);
        return refused('E_DIGEST_MISMATCH after 1 request; nothing stored');
      });
    }

    for (const [how, body, chunked] of [
      ['shorter', (body: Buffer) => body.subarray(0, 1000), false],
      ['longer', (body: Buffer) => Buffer.concat([body, Buffer.from('more')]), false],
      ['shorter, without a length', (body: Buffer) => body.subarray(0, 1000), true],
      ['longer, without a length', (body: Buffer) => Buffer.concat([body, Buffer.from('more')]), true],
    ] as const) {
      fault(`a body that is ${how}`, async () => {
        const { big } = lab();
        const { pulled, store } = await pullThrough((request) =>
          isBlob(request, big)
            ? {
                hide: ['range'],
                body,
                ...(chunked
                  ? { headers: () => ({ 'content-length': undefined, 'transfer-encoding': 'chunked' }) }
                  : {}),
              }
            : undefined,
        );
        await expect(pulled).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
        expect(await store.blobSize(big.digest)).toBeUndefined();
        await expectNothingStored(store);
        return refused('E_SIZE_MISMATCH; nothing stored');
      });
    }

    fault('a blob that is packed on the way (Content-Encoding: gzip)', async () => {
      const { config } = lab();
      const { pulled, proxy, store } = await pullThrough((request) =>
        isBlob(request, config)
          ? { body: (body) => gzipSync(body), headers: () => ({ 'content-encoding': 'gzip' }) }
          : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
      expect(new Set(proxy.requests.map(({ headers }) => headers['accept-encoding']))).toEqual(new Set(['identity']));
      await expectNothingStored(store);
      return refused('had asked for "identity"; E_SIZE_MISMATCH, nothing stored');
    });

    fault('a blob that is only labelled Content-Encoding: gzip', async () => {
      const { big } = lab();
      const { pulled } = await pullThrough((request) =>
        isBlob(request, big) ? { headers: () => ({ 'content-encoding': 'gzip' }) } : undefined,
      );
      await expectPulled(pulled);
      return survived('took the bytes as they came, verified');
    });
  });

  describe('manifests that are not what was named', () => {
    fault('a manifest with a wrong digest', async () => {
      const { pulled, store, proxy } = await pullThrough((request) =>
        isManifest(request) ? { body: lengthened } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
      await expectNothingStored(store);
      const lying = await pullThrough((request) =>
        isManifest(request) ? { body: lengthened, headers: () => ({ 'docker-content-digest': undefined }) } : undefined,
      );
      await expect(lying.pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
      expect(proxy.seen('GET', /manifests/)).toHaveLength(1);
      return refused('E_DIGEST_MISMATCH after 1 request, whatever the header says');
    });

    fault('Docker-Content-Digest absent', async () => {
      const { pulled, proxy } = await pullThrough((request) =>
        isAnyManifest(request) ? { headers: () => ({ 'docker-content-digest': undefined }) } : undefined,
      );
      await expectPulled(pulled);
      return survived(`hashed the manifest itself, ${times(proxy.seen('GET', /manifests/).length)}`);
    });

    for (const [how, digest, code] of [
      ['that of something else', digestOf('something else'), /E_NOT_FOUND|E_DIGEST_MISMATCH/],
      ['no digest', 'sha256:../../x', /E_INVALID_DIGEST/],
    ] as const) {
      fault(`Docker-Content-Digest is ${how}`, async () => {
        const { pulled } = await pullThrough((request) =>
          isAnyManifest(request) ? { headers: () => ({ 'docker-content-digest': digest }) } : undefined,
        );
        const failure = await pulled.catch((error) => error);
        expect(failure.code).toMatch(code);
        return refused(failure.code);
      });
    }

    for (const type of [undefined, 'text/plain', 'application/json', 'application/octet-stream']) {
      fault(`Content-Type ${type ?? 'absent'}`, async () => {
        const { pulled } = await pullThrough((request) =>
          isAnyManifest(request) ? { headers: () => ({ 'content-type': type }) } : undefined,
        );
        expect((await pulled).descriptor).toMatchObject({ digest: lab().image.digest, mediaType: MEDIA.manifest });
        return survived('the manifest spoke for itself');
      });
    }

    fault("a manifest with an index's fields", async () => {
      const { origin, image } = lab();
      const manifest = JSON.parse((await origin.readBlob(image, 1e6)).toString());
      const both = Buffer.from(JSON.stringify({ ...manifest, manifests: [] }));
      const { pulled } = await pullThrough((request) =>
        isAnyManifest(request)
          ? { respond: { status: 200, headers: { 'content-type': MEDIA.manifest }, body: both } }
          : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_INVALID_MANIFEST' });
      return refused('E_INVALID_MANIFEST');
    });

    fault('a manifest that is called an index', async () => {
      const { pulled } = await pullThrough((request) =>
        isAnyManifest(request) ? { headers: () => ({ 'content-type': MEDIA.index }) } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_INVALID_MANIFEST' });
      return refused('E_INVALID_MANIFEST');
    });

    fault('a manifest without end', async () => {
      const { pulled } = await pullThrough((request) =>
        isManifest(request) ? { body: () => Buffer.alloc(5_000_000, ' ') } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('more than 4194304 bytes'),
      });
      return refused('E_REGISTRY after 4 MiB');
    });

    fault('a HEAD that says another size than GET gives', async () => {
      const { pulled } = await pullThrough(({ method, path }) =>
        method === 'HEAD' && path.includes('/manifests/') ? { headers: () => ({ 'content-length': '17' }) } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
      return refused('E_SIZE_MISMATCH');
    });

    fault('a registry that does not know HEAD', async () => {
      const { pulled } = await pullThrough(({ method }) =>
        method === 'HEAD' ? { respond: { status: 405 } } : undefined,
      );
      await expectPulled(pulled);
      return survived('asked by GET');
    });
  });
}

function flipped(body: Buffer): Buffer {
  body[100] = (body[100] ?? 0) ^ 1;
  return body;
}

function lengthened(body: Buffer): Buffer {
  return Buffer.concat([body, Buffer.from('\n')]);
}
