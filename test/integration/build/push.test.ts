import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
let registry: DockerRegistry;
beforeAll(async () => {
  registry = await startDockerRegistry();
});
afterAll(() => registry.close());

interface Result {
  readonly digest: string;
  readonly pushed: readonly { name: string; uploadedBytes: number; reusedBytes: number }[];
}

const blobsOf = (repository: string): string[] =>
  [...registry.log().matchAll(new RegExp(`"(?:PUT|PATCH) /v2/${repository}/blobs/uploads`, 'g'))].map(String);

it('layers are on their way while others are built, and only those of the image', async () => {
  const context = join(home, 'early');
  writeTree(context, {
    // Host isolation sees the machine: the RUN ends when the registry has the layer before it.
    Kubefile: [
      'FROM scratch AS tools',
      'COPY secret-tool tool',
      'FROM scratch',
      'COPY first first',
      `RUN n=0; until curl -sf http://${registry.address}/v2/early/tags/list >/dev/null || [ -n "$(curl -s http://${registry.address}/v2/_catalog | grep early)" ]; do n=$((n+1)); [ $n -lt 300 ] || exit 9; sleep 0.1; done`,
      'COPY --from=tools tool copied',
      '',
    ].join('\n'),
  });
  for (const name of ['first', 'secret-tool']) writeFileSync(join(context, name), randomBytes(2_000_000));
  const names = [`${registry.address}/early:v1`, `${registry.address}/early-too:v1`];
  const args = ['build', '--json', '--build-mode', 'lite', '--push', ...names.flatMap((name) => ['-t', name]), context];
  const { digest, pushed } = JSON.parse(await mustSlipway(args, { root })) as Result;
  expect(pushed.map(({ name }) => name)).toEqual(names);
  // Two layers of 2 MB and a config; the other repository of the registry takes them from the first.
  expect(pushed[0]?.uploadedBytes).toBeGreaterThan(4_000_000);
  expect(pushed[0]?.reusedBytes).toBe(0);
  expect(pushed[1]).toMatchObject({ uploadedBytes: 0 });
  for (const name of names) {
    const found = await must('skopeo', [
      'inspect',
      '--tls-verify=false',
      '--format',
      '{{.Digest}}',
      `docker://${name}`,
    ]);
    expect(found.trim()).toBe(digest);
  }
  const image = JSON.parse(await mustSlipway(['inspect', '--json', names[0] ?? ''], { root })) as { layers: unknown[] };
  expect(image.layers).toHaveLength(2);
  expect(blobsOf('early')).toHaveLength(3);

  const again = JSON.parse(await mustSlipway(args, { root })) as Result;
  expect(again.digest).toBe(digest);
  expect(again.pushed.map(({ uploadedBytes }) => uploadedBytes)).toEqual([0, 0]);
});

it('a registry that refuses: the image is here, with its name, and the reason is told once', async () => {
  const context = join(home, 'refused');
  writeTree(context, { Kubefile: 'FROM scratch\nCOPY a a\nCOPY b b\n', a: 'a', b: 'b' });
  const name = '127.0.0.1:1/refused:v1';
  const iidfile = join(home, 'iid');
  const { code, stderr } = await slipway(
    ['build', '--build-mode', 'lite', '--push', '--iidfile', iidfile, '-t', name, context],
    { root },
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /warning: the image is built and has its names here \(sha256:[0-9a-f]{64}\); "slipway push" goes on/,
  );
  expect(stderr.match(/error: .*127\.0\.0\.1:1/g)).toHaveLength(1);
  expect(await mustSlipway(['images'], { root })).toContain('127.0.0.1:1/refused');
});

it('a build that fails sends no name, and --push without a name is a mistake', async () => {
  const context = join(home, 'fails');
  writeTree(context, { Kubefile: 'FROM scratch\nCOPY a a\nRUN exit 3\n', a: 'a' });
  const name = `${registry.address}/fails:v1`;
  const { code, stderr } = await slipway(['build', '--build-mode', 'lite', '--push', '-t', name, context], { root });
  expect(code).toBe(1);
  expect(stderr).toContain('exit code 3');
  expect((await slipway(['pull', name], { root })).stderr).toContain('has no fails:v1');
  const usage = await slipway(['build', '--push', context], { root });
  expect(usage.code).toBe(2);
  expect(usage.stderr).toContain('--push needs a name');
});
