import { onTestFinished } from 'vitest';
import { type RegistryServer, type ServerOptions, startServer } from '../../../../src/registry/server/server.js';
import type { Store } from '../../../../src/store/store.js';
import { tempStore } from './images.js';
import { tempDir } from './programs.js';

/** Slipway's own server on a free port, ended with the test. */
export async function testServer(
  options: Partial<ServerOptions> = {},
): Promise<RegistryServer & { readonly store: Store }> {
  const store = options.store ?? (await testStore());
  const server = await startServer({ listen: '127.0.0.1:0', ...options, store });
  onTestFinished(() => server.close());
  return { ...server, store };
}

/** An empty store, removed with the test. */
export async function testStore(): Promise<Store> {
  const { store, close } = await tempStore();
  onTestFinished(close);
  return store;
}

/** An empty directory, removed with the test. */
export async function testDir(): Promise<string> {
  const { path, remove } = await tempDir('test');
  onTestFinished(remove);
  return path;
}
