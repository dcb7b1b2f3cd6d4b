import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Descriptor } from '../../../../src/image/oci.js';
import { Repository } from '../../../../src/registry/client.js';
import type { RegistryOptions } from '../../../../src/registry/options.js';
import { pullImage } from '../../../../src/registry/pull.js';
import { pushImage } from '../../../../src/registry/push.js';
import { readImage } from '../../../../src/store/local-image.js';
import type { Store } from '../../../../src/store/store.js';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.js';
import { type Fault, faultProxy, type SeenRequest } from '../support/fault-proxy.js';
import { tagSmallImage, tempStore } from '../support/images.js';
import { testServer, testStore } from '../support/server.js';

/** Waits between repetitions are real, but short. */
export const QUICK: RegistryOptions = { retryDelay: 5 };

export const ANNA = { username: 'anna', password: 'the-password-of-anna' };

interface Lab {
  readonly registry: DockerRegistry;
  /** Where `image` was made. */
  readonly origin: Store;
  /** An image at the registry as `x:1`: one layer of 2 MB, a small one, a config. */
  readonly image: Descriptor;
  readonly big: Descriptor;
  readonly config: Descriptor;
}

let made: Lab | undefined;

/** What the tests of faults share. Made once by {@link useLab}. */
export function lab(): Lab {
  if (made === undefined) throw new Error('useLab() has not run');
  return made;
}

/** Makes the lab before the tests of a file, and takes it away after them. */
export function useLab(): void {
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    const registry = await startDockerRegistry();
    ends.push(() => registry.close());
    const { store: origin, close } = await tempStore();
    ends.push(close);
    const layers = [{ big: randomBytes(2_000_000) }, { small: 'small' }];
    const image = await tagSmallImage(origin, 'x:1', { layers });
    await pushImage(origin, 'x:1', { to: `${registry.address}/x:1` });
    const { manifest } = await readImage(origin, 'x:1');
    made = { registry, origin, image, big: manifest.layers[0] as Descriptor, config: manifest.config };
  });
  afterAll(async () => {
    for (const end of ends) await end();
  });
}

export type Rule = (request: SeenRequest) => Fault | undefined;

export function isBlob({ method, path }: SeenRequest, { digest }: Pick<Descriptor, 'digest'>): boolean {
  return method === 'GET' && path.endsWith(digest);
}

export function isManifest({ method, path }: SeenRequest): boolean {
  return method === 'GET' && path.includes('/manifests/');
}

/** Pulls the image through a proxy that misbehaves. */
export async function pullThrough(rule: Rule, options: RegistryOptions = QUICK, into?: Store) {
  const proxy = await faultProxy(lab().registry.address, rule);
  const store = into ?? (await testStore());
  return { proxy, store, pulled: pullImage(store, `${proxy.address}/x:1`, options) };
}

/** Pushes the image through a proxy that misbehaves, to an empty registry of ours or to docker's. */
export async function pushThrough(rule: Rule, options: RegistryOptions = {}, upstream?: string) {
  const server = upstream ?? (await testServer()).address;
  const proxy = await faultProxy(server, rule);
  const repository = `r${randomBytes(4).toString('hex')}`;
  return {
    proxy,
    repository: new Repository(server, repository),
    pushed: pushImage(lab().origin, 'x:1', { to: `${proxy.address}/${repository}:1`, ...QUICK, ...options }),
  };
}

/** That the whole image has come. */
export async function expectPulled(pulled: ReturnType<typeof pullImage>): Promise<void> {
  expect((await pulled).descriptor.digest).toBe(lab().image.digest);
}

/** @param begun the blob whose beginning stays, for the next pull to go on. */
export async function expectNothingStored(store: Store, begun?: Descriptor): Promise<void> {
  expect(await store.images()).toEqual([]);
  const partial = begun === undefined ? '' : `partial-${begun.digest.slice('sha256:'.length)}`;
  for (const corner of await readdir(join(store.root, 'tmp'))) {
    expect(await readdir(join(store.root, 'tmp', corner))).toEqual(corner === partial ? ['content', 'lock'] : ['lock']);
  }
}
