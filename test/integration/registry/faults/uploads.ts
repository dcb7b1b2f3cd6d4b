import http from 'node:http';
import { describe, expect, onTestFinished } from 'vitest';
import { pushImage } from '../../../../src/registry/push.js';
import { faultProxy } from '../support/fault-proxy.js';
import { testServer } from '../support/server.js';
import { lab, pushThrough, QUICK } from './lab.js';
import { fault, refused, survived, times } from './table.js';

export function uploads(): void {
  describe('uploads', () => {
    for (const [how, change] of [
      ['relative', (path: string) => path],
      ['with a query of its own', (path: string) => `${path}${path.includes('?') ? '&' : '?'}token=a%2Fb+c&x=`],
      ['on another path', (path: string) => path.replace('/v2/', '/elsewhere/v2/')],
    ] as const) {
      fault(`a Location that is ${how}`, async () => {
        const { big, registry } = lab();
        // The registry says absolute URLs of its own address; the proxy turns them into what the test is about, and back.
        const upstream = await faultProxy(registry.address, () => undefined);
        const { pushed, proxy, repository } = await pushThrough(
          ({ path }) => ({
            headers: ({ location }) => {
              if (location === undefined || !path.includes('uploads')) return {};
              const { pathname, search } = new URL(location, 'http://x');
              return { location: change(`${pathname}${search}`) };
            },
          }),
          { chunkSize: 500_000 },
          await rewriting(upstream.address),
        );
        await pushed;
        expect(await repository.hasBlob(big)).toBe(true);
        const pieces = proxy.seen('PATCH', /uploads/).length;
        expect(pieces).toBe(Math.ceil(big.size / 500_000));
        return survived(`followed it, ${times(pieces, 'piece')}`);
      });
    }

    fault('no Location', async () => {
      const { pushed } = await pushThrough(({ method }) =>
        method === 'POST' ? { headers: () => ({ location: undefined }) } : undefined,
      );
      await expect(pushed).rejects.toMatchObject({
        code: 'E_REGISTRY',
        message: expect.stringContaining('does not say where to upload to'),
      });
      return refused('E_REGISTRY');
    });

    fault('a connection that breaks in the middle of a PATCH', async () => {
      const { big } = lab();
      const { pushed, proxy, repository } = await pushThrough(
        ({ method, headers }) =>
          method === 'PATCH' && headers['content-range']?.startsWith('600000-')
            ? { cutRequestAfter: 250_000 }
            : undefined,
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      const starts = proxy
        .seen('PATCH', /uploads/)
        .map(({ headers }) => Number(headers['content-range']?.split('-')[0]));
      expect(starts[2]).toBeGreaterThan(600_000); // not from the beginning of the piece
      expect(proxy.seen('POST', /uploads/)).toHaveLength(3); // one for each blob: nothing was begun again
      return survived('asked how much is there, went on in the middle of the piece');
    });

    fault("docker's registry forgets an upload that broke", async () => {
      const { big, registry } = lab();
      let broken = false;
      const { pushed, proxy, repository } = await pushThrough(
        ({ method, headers }) => {
          if (method !== 'PATCH' || !headers['content-range']?.startsWith('600000-') || broken) return undefined;
          broken = true;
          return { cutRequestAfter: 250_000 };
        },
        { chunkSize: 600_000 },
        registry.address,
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      expect(proxy.seen('GET', /uploads/)).toHaveLength(1);
      return survived('asked how much is there, began again');
    });

    fault('PATCH answered 416', async () => {
      const { big } = lab();
      let refusals = 0;
      const { pushed, proxy, repository } = await pushThrough(
        ({ method, headers }) => {
          if (method !== 'PATCH' || !headers['content-range']?.startsWith('600000-') || refusals++ > 0)
            return undefined;
          return { respond: { status: 416 } };
        },
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      expect(proxy.seen('GET', /uploads/)).toHaveLength(1);
      return survived('asked where the registry is, went on there');
    });

    fault('a registry that has lost the upload', async () => {
      const { big } = lab();
      let lost = false;
      const { pushed, repository, proxy } = await pushThrough(
        ({ method, headers }) => {
          if (method === 'PATCH' && headers['content-range']?.startsWith('600000-') && !lost) {
            lost = true;
            return { cutRequestAfter: 10 };
          }
          return method === 'GET' ? { respond: { status: 404 } } : undefined;
        },
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      expect(proxy.seen('POST', /uploads/)).toHaveLength(4);
      return survived('began again');
    });

    fault('the answer to the last request is lost', async () => {
      const { big } = lab();
      let lost = false;
      const { pushed, proxy, repository } = await pushThrough(
        ({ method, path }) => {
          if (method !== 'PUT' || !path.includes(encodeURIComponent(big.digest)) || lost) return undefined;
          lost = true;
          return { loseAnswer: true };
        },
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      expect(proxy.seen('PATCH', /uploads/)).toHaveLength(Math.ceil(big.size / 600_000));
      return survived('saw that the blob is there, sent nothing again');
    });

    fault('a registry that takes no pieces', async () => {
      const { big } = lab();
      const { pushed, proxy, repository } = await pushThrough(
        ({ method }) => (method === 'PATCH' ? { respond: { status: 405 } } : undefined),
        { chunkSize: 600_000 },
      );
      await pushed;
      expect(await repository.hasBlob(big)).toBe(true);
      expect(proxy.seen('PATCH', /uploads/)).toHaveLength(1);
      return survived('sent the blob in one request');
    });

    fault('a registry that wants bigger pieces (OCI-Chunk-Min-Length)', async () => {
      const { big } = lab();
      const { pushed, proxy } = await pushThrough(
        ({ method }) => (method === 'POST' ? { headers: () => ({ 'oci-chunk-min-length': '900000' }) } : undefined),
        { chunkSize: 300_000 },
      );
      await pushed;
      const pieces = proxy.seen('PATCH', /uploads/).length;
      expect(pieces).toBe(Math.ceil(big.size / 900_000));
      return survived(`sent ${times(pieces, 'piece')}`);
    });

    fault('a registry that computes another digest', async () => {
      const body = '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}';
      const { pushed, repository } = await pushThrough(({ method, path }) =>
        method === 'PUT' && path.includes('uploads') ? { respond: { status: 400, body } } : undefined,
      );
      await expect(pushed).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
      await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      return refused('E_DIGEST_MISMATCH; no tag');
    });

    fault('a proxy that limits the size of a request (413)', async () => {
      const { pushed } = await pushThrough(({ method, path }) =>
        method === 'PUT' && path.includes('uploads')
          ? { respond: { status: 413, body: '<html>Request Entity Too Large</html>' } }
          : undefined,
      );
      await expect(pushed).rejects.toMatchObject({
        code: 'E_REGISTRY',
        hint: expect.stringContaining('limits the size of a request'),
      });
      return refused('E_REGISTRY with a hint at the limit');
    });

    fault('a registry that refuses to mount', async () => {
      const { big, origin } = lab();
      const server = await testServer();
      await pushImage(origin, 'x:1', { to: `${server.address}/first:1` });
      const proxy = await faultProxy(server.address, ({ method, path }) =>
        method === 'HEAD' && path.includes('/blobs/')
          ? { respond: { status: 404 } }
          : path.includes('mount=')
            ? { respond: { status: 403 } }
            : undefined,
      );
      await origin.noteSource(big.digest, proxy.address, 'first');
      const pushed = await pushImage(origin, 'x:1', { to: `${proxy.address}/second:1`, ...QUICK });
      expect(pushed.copied).toBeGreaterThan(big.size);
      expect(proxy.seen('POST', /mount=/)).toHaveLength(1);
      return survived('uploaded the blob');
    });

    fault('a registry that stores a manifest under another digest', async () => {
      const digest = `sha256:${'0'.repeat(64)}`;
      const { pushed } = await pushThrough(({ method, path }) =>
        method === 'PUT' && path.includes('/manifests/')
          ? { headers: () => ({ 'docker-content-digest': digest }) }
          : undefined,
      );
      await expect(pushed).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
      return refused('E_DIGEST_MISMATCH');
    });
  });
}

/** Undoes what the Location tests do to paths. */
async function rewriting(upstream: string): Promise<string> {
  const [host, port] = upstream.split(':');
  const server = http.createServer((request, response) => {
    const path = (request.url ?? '')
      .replace('/elsewhere/v2/', '/v2/')
      .replace('&token=a%2Fb+c&x=', '')
      .replace('?token=a%2Fb+c&x=', '');
    request.pipe(
      http.request({ host, port, path, method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}
