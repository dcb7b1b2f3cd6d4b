import { describe, expect, onTestFinished } from 'vitest';
import { SlipwayError } from '../../../../src/base/errors.js';
import { Repository } from '../../../../src/registry/client.js';
import type { RegistryOptions } from '../../../../src/registry/options.js';
import { pullImage } from '../../../../src/registry/pull.js';
import { pushImage } from '../../../../src/registry/push.js';
import { startDockerRegistry } from '../support/docker-registry.js';
import { faultProxy } from '../support/fault-proxy.js';
import { writeHome } from '../support/home.js';
import { testDir, testStore } from '../support/server.js';
import { startTokenServer, type TokenServerOptions } from '../support/token-server.js';
import { ANNA, expectPulled, lab, pullThrough, QUICK } from './lab.js';
import { fault, refused, survived, times } from './table.js';

const WITH_PASSWORD: RegistryOptions = { ...QUICK, credential: ANNA };

async function guardedRegistry(options: TokenServerOptions = {}) {
  const tokens = await startTokenServer(await testDir(), { users: { [ANNA.username]: ANNA.password }, ...options });
  onTestFinished(() => tokens.close());
  const registry = await startDockerRegistry({ token: tokens });
  onTestFinished(() => registry.close());
  return { tokens, registry };
}

export function tokens(): void {
  describe('tokens', () => {
    fault('a token that expires between two blobs', async () => {
      const { tokens, registry } = await guardedRegistry();
      const spent = new Set<string | undefined>();
      const proxy = await faultProxy(registry.address, ({ method, path, headers }) => {
        if (!path.includes('/blobs/') || headers.authorization === undefined) return undefined;
        // the first token is good for one request with a body to or from a blob
        if (spent.size === 0 && method !== 'HEAD') {
          spent.add(headers.authorization);
          return undefined;
        }
        return spent.has(headers.authorization) ? { hide: ['authorization'] } : undefined;
      });
      await pushImage(lab().origin, 'x:1', { to: `${proxy.address}/x:1`, ...WITH_PASSWORD });
      const renewed = tokens.requests.length;
      expect(renewed).toBe(2);
      spent.clear();
      const pulled = await pullImage(await testStore(), `${proxy.address}/x:1`, WITH_PASSWORD);
      expect(pulled.descriptor.digest).toBe(lab().image.digest);
      expect(tokens.requests.length).toBe(renewed + 2);
      return survived('got a new one, in a push and in a pull');
    });

    fault('a token that expires in the middle of an upload', async () => {
      const { tokens, registry } = await guardedRegistry();
      let first: string | undefined;
      const proxy = await faultProxy(registry.address, ({ method, headers }) => {
        if (method !== 'PATCH') return undefined;
        first ??= headers.authorization;
        const late = headers['content-range']?.startsWith('600000-') === true;
        return late && headers.authorization === first ? { hide: ['authorization'] } : undefined;
      });
      const to = `${proxy.address}/x:1`;
      await pushImage(lab().origin, 'x:1', { to, ...WITH_PASSWORD, chunkSize: 600_000 });
      expect(tokens.requests).toHaveLength(2);
      expect(proxy.seen('POST', /uploads/)).toHaveLength(3); // nothing was begun again
      return survived('got a new one, sent that piece again');
    });

    fault('a token that says it lives a second', async () => {
      const { tokens, registry } = await guardedRegistry({ saidLife: 1 });
      await pushImage(lab().origin, 'x:1', { to: `${registry.address}/x:1`, ...WITH_PASSWORD });
      expect(tokens.requests).toHaveLength(1);
      return survived(`took it for good for a minute, ${times(1, 'token')}`);
    });

    fault('several challenges, the one we can use last', async () => {
      const { tokens, registry } = await guardedRegistry();
      const proxy = await faultProxy(registry.address, () => ({
        headers: (headers): Record<string, string> => {
          const challenge = headers['www-authenticate'];
          return challenge === undefined
            ? {}
            : { 'www-authenticate': `Negotiate, Basic realm="elsewhere", charset="UTF-8", ${challenge}` };
        },
      }));
      await pushImage(lab().origin, 'x:1', { to: `${proxy.address}/x:1`, ...WITH_PASSWORD });
      expect(tokens.requests.every(({ granted }) => granted)).toBe(true);
      expect(proxy.requests.some(({ headers }) => /^basic/i.test(headers.authorization ?? ''))).toBe(false);
      return survived('took the Bearer one');
    });

    fault('a scheme that nobody knows', async () => {
      const { pulled } = await pullThrough(
        () => ({ respond: { status: 401, headers: { 'www-authenticate': 'Kerberos realm="x"' } } }),
        WITH_PASSWORD,
      );
      await expect(pulled).rejects.toMatchObject({
        code: 'E_UNAUTHORIZED',
        message: expect.stringContaining('wants to be authorised by kerberos'),
      });
      return refused('E_UNAUTHORIZED, names the scheme');
    });

    for (const [how, realm] of [
      ['plain http elsewhere', 'http://192.0.2.1/token'],
      ['no URL', 'token'],
      ['a file', 'file:///etc/passwd'],
    ] as const) {
      fault(`a realm that is ${how}`, async () => {
        const challenge = { 'www-authenticate': `Bearer realm="${realm}",service="x"` };
        const { pulled } = await pullThrough(() => ({ respond: { status: 401, headers: challenge } }), WITH_PASSWORD);
        await expect(pulled).rejects.toMatchObject({
          code: 'E_UNAUTHORIZED',
          message: expect.stringContaining('refused'),
        });
        return refused('E_UNAUTHORIZED; the password stayed here');
      });
    }

    fault('a token server that redirects to another host', async () => {
      const { registry, tokens } = await guardedRegistry({ open: ['x'] });
      const elsewhere = await faultProxy(new URL(tokens.realm).host, () => undefined);
      const front = await redirectingTokens(registry.address, tokens.realm, elsewhere.address);
      await expect(new Repository(front, 'x', WITH_PASSWORD).resolve('1')).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
      });
      expect(elsewhere.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
      return survived('asked there without the password');
    });

    fault('a token server that redirects, with an identity token', async () => {
      const { registry, tokens } = await guardedRegistry({ refreshToken: 'the-refresh-token' });
      const elsewhere = await faultProxy(new URL(tokens.realm).host, () => undefined);
      const front = await redirectingTokens(registry.address, tokens.realm, elsewhere.address);
      const env = await writeHome({ auths: { [front]: { identitytoken: 'the-refresh-token' } } });
      await expect(new Repository(front, 'x', { ...QUICK, env }).resolve('1')).rejects.toMatchObject({
        code: 'E_UNAUTHORIZED',
        message: expect.stringContaining('refused to follow a redirect'),
      });
      expect(elsewhere.requests).toEqual([]);
      return refused('E_UNAUTHORIZED; the token stayed here');
    });

    fault('a token server that is busy', async () => {
      const { registry, tokens } = await guardedRegistry({ open: ['x'] });
      const busy = await faultProxy(new URL(tokens.realm).host, ({ before }) =>
        before < 3 ? { respond: { status: 503 } } : undefined,
      );
      const front = await withRealm(registry.address, `http://${busy.address}/token`);
      await expect(new Repository(front, 'x', QUICK).resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      return survived(`asked it again, ${times(busy.requests.length)}`);
    });

    fault('Ctrl-C while a token server wants us to wait', async () => {
      const { registry, tokens } = await guardedRegistry();
      const interrupt = new AbortController();
      const reason = new SlipwayError('E_INTERRUPTED', 'interrupted');
      const busy = await faultProxy(new URL(tokens.realm).host, () => {
        setTimeout(() => interrupt.abort(reason), 20);
        return { respond: { status: 429, headers: { 'retry-after': '100' } } };
      });
      const front = await withRealm(registry.address, `http://${busy.address}/token`);
      const options = { ...WITH_PASSWORD, signal: interrupt.signal };
      await expect(new Repository(front, 'x', options).resolve('1')).rejects.toBe(reason);
      return refused('E_INTERRUPTED at once');
    });

    fault('a token server that gives something else', async () => {
      for (const body of ['{}', '<html>', '{"token":""}', '{"token":"two words"}', '{"token":null}']) {
        const elsewhere = await faultProxy(lab().registry.address, () => ({ respond: { status: 200, body } }));
        const challenge = { 'www-authenticate': `Bearer realm="http://${elsewhere.address}/token"` };
        const { pulled } = await pullThrough(() => ({ respond: { status: 401, headers: challenge } }));
        await expect(pulled).rejects.toMatchObject({
          code: 'E_REGISTRY',
          message: expect.stringContaining('holds no token'),
        });
      }
      return refused('E_REGISTRY');
    });

    fault('a registry that is never content', async () => {
      const server = await startTokenServer(await testDir(), { open: ['x'] });
      onTestFinished(() => server.close());
      const challenge = `Bearer realm="${server.realm}",service="x",scope="repository:x:pull,push"`;
      const { pulled, proxy } = await pullThrough(() => ({
        respond: { status: 401, headers: { 'www-authenticate': challenge } },
      }));
      await expect(pulled).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
      expect(proxy.requests.length).toBeLessThanOrEqual(3);
      expect(server.requests.length).toBeLessThanOrEqual(2);
      return refused(`E_UNAUTHORIZED after ${times(proxy.requests.length)}`);
    });

    fault('a registry that needs no token for what it has', async () => {
      const { pulled, proxy } = await pullThrough(() => undefined, WITH_PASSWORD);
      await expectPulled(pulled);
      expect(proxy.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
      return survived('never sent the password that it was given');
    });
  });
}

/** The registry, with another realm in its challenges. */
async function withRealm(registry: string, realm: string): Promise<string> {
  const proxy = await faultProxy(registry, () => ({
    headers: (headers): Record<string, string> => {
      const challenge = headers['www-authenticate'];
      return challenge === undefined
        ? {}
        : { 'www-authenticate': challenge.replace(/realm="[^"]*"/, `realm="${realm}"`) };
    },
  }));
  return proxy.address;
}

/** The registry, with a token server that sends everybody to another address. */
async function redirectingTokens(registry: string, realm: string, to: string): Promise<string> {
  const { host, pathname } = new URL(realm);
  const redirecting = await faultProxy(host, ({ path }) => ({
    respond: { status: 307, headers: { location: `http://${to}${path}` } },
  }));
  return withRealm(registry, `http://${redirecting.address}${pathname}`);
}
