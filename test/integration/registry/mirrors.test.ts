import { expect, onTestFinished, test } from 'vitest';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { startDockerRegistry } from './support/docker-registry.js';
import { faultProxy } from './support/fault-proxy.js';
import { tagSmallImage } from './support/images.js';
import { RecordingReporter } from './support/reporter.js';
import { testServer, testStore } from './support/server.js';

test('an image of Docker Hub comes from a mirror, under its own name, and the mirror sees no credentials', async () => {
  const mirror = await testServer();
  const store = await testStore();
  const { digest } = await tagSmallImage(store, 'x:1');
  await pushImage(store, 'x:1', { to: `${mirror.address}/hub/library/x:1` });
  const watched = await faultProxy(mirror.address, () => undefined);
  const there = await testStore();
  const pulled = await pullImage(there, 'x:1', {
    mirrors: { 'docker.io': [`${watched.address}/hub`] },
    credential: { username: 'anna', password: 'the-password-of-anna' },
  });
  expect(pulled).toMatchObject({ name: 'x:1', descriptor: { digest }, from: `${watched.address}/hub/library/x` });
  expect(watched.requests.every(({ headers }) => headers.authorization === undefined)).toBe(true);
});

test('a mirror that is down, or lacks the image, is passed over with a warning', async () => {
  const upstream = await startDockerRegistry();
  onTestFinished(() => upstream.close());
  const empty = await testServer();
  const store = await testStore();
  const { digest } = await tagSmallImage(store, 'x:1');
  const name = `${upstream.address}/x:1`;
  await pushImage(store, 'x:1', { to: name });
  const reporter = new RecordingReporter();
  const mirrors = { [upstream.address]: ['127.0.0.1:1', `http://${empty.address}`] };
  const pulled = await pullImage(await testStore(), name, { mirrors, reporter });
  expect(pulled).toMatchObject({ descriptor: { digest }, from: `${upstream.address}/x` });
  expect(reporter.warnings).toHaveLength(2);
});

test('a mirror that gives other content is not passed over: it is an error', async () => {
  const upstream = await testServer();
  const store = await testStore();
  await tagSmallImage(store, 'x:1');
  await pushImage(store, 'x:1', { to: `${upstream.address}/x:1` });
  const evil = await faultProxy(upstream.address, ({ method, path }) =>
    method === 'GET' && path.includes('/blobs/') ? { body: (body) => Buffer.from(body).fill(0) } : undefined,
  );
  const there = await testStore();
  const pulled = pullImage(there, `${upstream.address}/x:1`, { mirrors: { [upstream.address]: [evil.address] } });
  await expect(pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  expect(await there.images()).toEqual([]);
});
