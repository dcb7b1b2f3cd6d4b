import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { SlipwayError } from '../../../../src/base/errors.js';
import { digestOf } from '../../../../src/image/digest.js';
import { Repository } from '../../../../src/registry/client.js';
import { faultProxy } from '../support/fault-proxy.js';
import { testServer, testStore } from '../support/server.js';
import {
  expectNothingStored,
  expectPulled,
  isBlob,
  isManifest,
  lab,
  pullThrough,
  pushThrough,
  QUICK,
  type Rule,
} from './lab.js';
import { fault, refused, survived, times } from './table.js';

export function connections(): void {
  describe('broken connections', () => {
    fault('a reset in the middle of a blob', async () => {
      const { big } = lab();
      const { pulled, proxy } = await pullThrough((request) =>
        isBlob(request, big) && request.before < 2 ? { cutAnswerAfter: 700_000 } : undefined,
      );
      await expectPulled(pulled);
      const ranges = proxy.seen('GET', new RegExp(big.digest)).map(({ headers }) => headers.range);
      expect(ranges[0]).toBeUndefined();
      expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-\d+$/.test(range ?? ''))).toBe(true);
      return survived(`asked for the rest by Range, ${times(ranges.length)}`);
    });

    fault('a reset at a registry that knows no Range', async () => {
      const { big } = lab();
      const { pulled } = await pullThrough((request) =>
        isBlob(request, big)
          ? { hide: ['range'], ...(request.before === 0 ? { cutAnswerAfter: 700_000 } : {}) }
          : undefined,
      );
      await expectPulled(pulled);
      return survived('passed over what it had');
    });

    fault('a registry that gives less of a Range than was asked for', async () => {
      const { big } = lab();
      const { pulled, proxy } = await pullThrough((request) => {
        if (!isBlob(request, big)) return undefined;
        const from = /^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1];
        if (from === undefined) return { cutAnswerAfter: 500_000 };
        const part = Math.min(400_000, big.size - Number(from));
        return {
          body: (body) => body.subarray(0, part),
          headers: () => ({
            'content-range': `bytes ${from}-${Number(from) + part - 1}/${big.size}`,
            'content-length': String(part),
          }),
        };
      });
      await expectPulled(pulled);
      return survived(`took it, asked for the rest, ${times(proxy.seen('GET', new RegExp(big.digest)).length)}`);
    });

    fault('a blob that always breaks at the same byte', async () => {
      const { big } = lab();
      const { pulled, proxy, store } = await pullThrough((request) =>
        isBlob(request, big) ? { hide: ['range'], cutAnswerAfter: 700_000 } : undefined,
      );
      await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
      const asked = proxy.seen('GET', new RegExp(big.digest)).length;
      expect(asked).toBeLessThan(8);
      await expectNothingStored(store, big);
      return refused(`E_REGISTRY_UNREACHABLE after ${times(asked)}; what came is kept`);
    });

    fault('a manifest cut off in the middle', async () => {
      const { pulled, proxy } = await pullThrough((request) =>
        isManifest(request) && request.before === 0 ? { cutAnswerAfter: 20 } : undefined,
      );
      await expectPulled(pulled);
      return survived(`fetched it again, ${times(proxy.seen('GET', /manifests/).length)}`);
    });

    fault('a chunked body without its end', async () => {
      const { config } = lab();
      const { pulled, proxy } = await pullThrough((request) =>
        isBlob(request, config) && request.before === 0
          ? { raw: (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"arc\r\n') }
          : undefined,
      );
      await expectPulled(pulled);
      const [, second] = proxy.seen('GET', new RegExp(config.digest));
      expect(second?.headers.range).toBe(`bytes=5-${config.size - 1}`);
      return survived('asked for the rest by Range');
    });
  });

  describe('slow ones', () => {
    fault('a body that drips', async () => {
      const { big } = lab();
      // All of it takes longer than the registry may be silent.
      const { pulled, proxy } = await pullThrough((request) => (isBlob(request, big) ? { drip: 1000 } : undefined), {
        ...QUICK,
        timeouts: { idle: 1000 },
      });
      await expectPulled(pulled);
      expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(1);
      return survived('waited: only silence ends an exchange');
    });

    fault('a body that stops', async () => {
      const { config } = lab();
      const { pulled } = await pullThrough(
        (request) =>
          isBlob(request, config) && request.before === 0
            ? { headers: () => ({ 'content-length': String(config.size) }), body: (body) => body.subarray(0, 10) }
            : undefined,
        { ...QUICK, timeouts: { idle: 300 } },
      );
      await expectPulled(pulled);
      return survived('gave up the connection, asked for the rest');
    });

    fault('an upload that is taken slowly', async () => {
      const bytes = randomBytes(24_000_000);
      const descriptor = { digest: digestOf(bytes), size: bytes.byteLength };
      const proxy = await faultProxy((await testServer()).address, ({ method }) =>
        method === 'PATCH' ? { sip: 6000 } : undefined,
      );
      // All of it takes longer than a registry may be silent (five times the idle time, for it has to store what came).
      const repository = new Repository(proxy.address, 'slow', { ...QUICK, timeouts: { idle: 400 } });
      async function* open(start: number, end: number) {
        for (let at = start; at < end; at += 65536) yield bytes.subarray(at, Math.min(at + 65536, end));
      }
      expect(await repository.pushBlob({ descriptor, open })).toBe('uploaded');
      expect(proxy.seen('PATCH', /uploads/)).toHaveLength(1);
      return survived('waited: only silence ends an exchange');
    });

    fault('a head that drips for ever', async () => {
      const { proxy, failure } = await resolveThrough(
        () => ({
          raw: (socket) => {
            socket.write('HTTP/1.1 200 OK\r\n');
            const timer = setInterval(() => socket.write('X: y\r\n'), 20);
            socket.on('close', () => clearInterval(timer));
          },
        }),
        { ...QUICK, timeouts: { idle: 200 } },
      );
      expect(failure).toMatchObject({ code: 'E_REGISTRY_UNREACHABLE', details: { kind: 'silent' } });
      return refused(`E_REGISTRY_UNREACHABLE after ${times(proxy.requests.length)}`);
    });

    fault('a registry that accepts connections and says nothing', async () => {
      const server = createServer();
      const sockets = new Set<Socket>();
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      onTestFinished(async () => {
        for (const socket of sockets) socket.destroy();
        await new Promise((resolve) => server.close(resolve));
      });
      const address = server.address();
      const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
      const options = { ...QUICK, plainHttp: true, timeouts: { idle: 100 } };
      await expect(new Repository(host, 'x', options).resolve('1')).rejects.toMatchObject({
        code: 'E_REGISTRY_UNREACHABLE',
        message: expect.stringContaining('stopped answering'),
      });
      return refused(`E_REGISTRY_UNREACHABLE after ${times(sockets.size, 'try').replace('trys', 'tries')}`);
    });
  });

  describe('strange answers', () => {
    fault('HTTP/1.0 without a length', async () => {
      const { config, origin } = lab();
      const bytes = await origin.readBlob(config, 1e6);
      const { pulled } = await pullThrough((request) =>
        isBlob(request, config)
          ? { raw: (socket) => socket.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes])) }
          : undefined,
      );
      await expectPulled(pulled);
      return survived('read to the end of the connection, verified');
    });

    fault('HTTP/1.0 without a length, cut off', async () => {
      const { config, origin } = lab();
      const bytes = await origin.readBlob(config, 1e6);
      const { pulled, proxy } = await pullThrough((request) =>
        isBlob(request, config) && request.before === 0
          ? {
              raw: (socket) =>
                socket.end(Buffer.concat([Buffer.from('HTTP/1.0 200 OK\r\n\r\n'), bytes.subarray(0, 99)])),
            }
          : undefined,
      );
      await expectPulled(pulled);
      const [, second] = proxy.seen('GET', new RegExp(config.digest));
      expect(second?.headers.range).toBe(`bytes=99-${config.size - 1}`);
      return survived('saw by the size that it is not all, asked for the rest');
    });

    for (const [name, interim] of [
      ['102 Processing', 'HTTP/1.1 102 Processing\r\n\r\n'],
      ['103 Early Hints', 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'],
    ] as const) {
      fault(`${name} before the answer`, async () => {
        const { config, origin } = lab();
        const bytes = await origin.readBlob(config, 1e6);
        const head = `${interim}HTTP/1.1 200 OK\r\nContent-Length: ${bytes.byteLength}\r\n\r\n`;
        const { pulled } = await pullThrough((request) =>
          isBlob(request, config)
            ? { raw: (socket) => socket.write(Buffer.concat([Buffer.from(head), bytes])) }
            : undefined,
        );
        await expectPulled(pulled);
        return survived('passed over it');
      });
    }

    fault('100 Continue that nobody asked for', async () => {
      // RFC 9110 wants it passed over; undici takes it for a broken connection.
      const { failure } = await resolveThrough(() => ({
        raw: (socket) => socket.end('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
      }));
      expect(failure).toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
      return refused('E_REGISTRY_UNREACHABLE: a limit of the HTTP library');
    });

    for (const [name, write] of [
      ['a header of 100 KB', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}\r\n`)],
      ['headers without end', endlessHeaders],
      ['an answer that is not HTTP', (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ] as const) {
      fault(name, async () => {
        const { failure, proxy } = await resolveThrough(() => ({ raw: write }));
        expect(failure).toMatchObject({
          code: 'E_REGISTRY_UNREACHABLE',
          message: expect.stringContaining('does not speak HTTP as it should'),
          hint: expect.stringContaining('is a registry listening'),
        });
        expect(proxy.requests).toHaveLength(1);
        return refused('E_REGISTRY_UNREACHABLE at once, says that it is not HTTP');
      });
    }
  });

  describe('an interruption', () => {
    fault('Ctrl-C in the middle of a blob', async () => {
      const { big } = lab();
      const interrupt = new AbortController();
      const reason = new SlipwayError('E_INTERRUPTED', 'interrupted');
      const { pulled, store } = await pullThrough(
        (request) => {
          if (!isBlob(request, big)) return undefined;
          setTimeout(() => interrupt.abort(reason), 20);
          return { drip: 100 };
        },
        { ...QUICK, signal: interrupt.signal },
      );
      await expect(pulled).rejects.toBe(reason);
      await expectNothingStored(store, big);
      return refused('E_INTERRUPTED; what came is kept');
    });

    fault('a pull after one that broke off', async () => {
      const { big } = lab();
      const store = await testStore();
      const cut = await pullThrough(
        (request) => (isBlob(request, big) ? { hide: ['range'], cutAnswerAfter: 700_000 } : undefined),
        QUICK,
        store,
      );
      await expect(cut.pulled).rejects.toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
      const again = await pullThrough(() => undefined, QUICK, store);
      await expectPulled(again.pulled);
      const [request] = again.proxy.seen('GET', new RegExp(big.digest));
      expect(Number(/^bytes=(\d+)-/.exec(request?.headers.range ?? '')?.[1])).toBeGreaterThan(0);
      expect((await readdir(join(store.root, 'tmp'))).filter((name) => name.startsWith('partial-'))).toEqual([]);
      return survived('went on where the other ended');
    });

    for (const how of ['the beginning that was kept is spoilt', 'more was kept than there is']) {
      fault(`${how}`, async () => {
        const { big } = lab();
        const store = await testStore();
        const corner = join(store.root, 'tmp', `partial-${big.digest.slice('sha256:'.length)}`);
        await mkdir(corner, { recursive: true });
        await writeFile(join(corner, 'content'), randomBytes(how.startsWith('more') ? big.size + 1 : 1000));
        const { pulled } = await pullThrough(() => undefined, QUICK, store);
        await expectPulled(pulled);
        expect((await readdir(join(store.root, 'tmp'))).filter((name) => name.startsWith('partial-'))).toEqual([]);
        return survived('fetched all of it again');
      });
    }

    fault('Ctrl-C in the middle of an upload', async () => {
      const interrupt = new AbortController();
      const reason = new SlipwayError('E_INTERRUPTED', 'interrupted');
      const { pushed, repository } = await pushThrough(
        ({ method }) => {
          if (method === 'PUT') interrupt.abort(reason);
          return undefined;
        },
        { signal: interrupt.signal },
      );
      await expect(pushed).rejects.toBe(reason);
      await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      return refused('E_INTERRUPTED; no tag');
    });
  });
}

/** Asks for a tag through a proxy that misbehaves; gives the error. */
async function resolveThrough(rule: Rule, options = QUICK) {
  const { proxy, pulled } = await pullThrough(rule, options);
  const failure: unknown = await pulled.then(
    () => undefined,
    (error) => error,
  );
  return { proxy, failure };
}

function endlessHeaders(socket: Socket): void {
  socket.write('HTTP/1.1 200 OK\r\n');
  const timer = setInterval(() => socket.write(`X-A: ${'b'.repeat(500)}\r\n`), 1);
  socket.on('close', () => clearInterval(timer));
}
