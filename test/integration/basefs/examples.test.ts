// The examples do what their texts say: each is built as a person would build it, offline.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';

const EXAMPLES = join(import.meta.dirname, '../../../examples');
const root = tempDirectory('slipway-examples-');

interface Inspected {
  readonly launch: { readonly cmds: readonly string[]; readonly apps: readonly string[] };
  readonly metadata: { readonly version: string; readonly ClusterRuntime: string };
}

describe.sequential('examples', () => {
  it('demo: every kind of step, and all of it from the cache the second time', async () => {
    const first = await build('demo', 'demo:v1');
    const paths = await rootfs('demo:v1');
    for (const path of [
      'Metadata',
      'bin/site-report',
      'etc/checksums',
      'etc/site.conf',
      'manifests/site.yaml',
      'scripts/init.sh',
    ]) {
      expect(paths).toContain(path);
    }
    expect(paths).not.toContain('manifests/site.yaml.in');
    expect((await inspect('demo:v1')).launch.cmds).toEqual(['kubectl apply -f manifests/site.yaml']);
    expect(await build('demo', 'demo:v1')).toBe(first);
    expect(await build('demo', 'demo:v2', '--build-arg', 'SITE=lighthouse')).not.toBe(first);
  });

  it("rootfs: the directory is the image, but for the files that are the build's own", async () => {
    await build('rootfs', 'user-defined-kubernetes:v1.29.2');
    const paths = await rootfs('user-defined-kubernetes:v1.29.2');
    expect(paths).toContain('bin/site-report');
    expect(paths).not.toContain('Kubefile');
    expect(paths).not.toContain('README.md');
    const { metadata } = await inspect('user-defined-kubernetes:v1.29.2');
    expect(metadata).toMatchObject({ version: 'v1.29.2', ClusterRuntime: 'k8s' });
  });

  it('application: is started after what the base starts, with its template and its variable', async () => {
    await build('application', 'guestbook:v1');
    expect(await rootfs('guestbook:v1')).toContain('application/apps/guestbook/2-settings.yaml.tmpl');
    expect((await inspect('guestbook:v1')).launch).toEqual({
      cmds: ['kubectl apply -f manifests/site.yaml'],
      apps: ['guestbook'],
    });
    expect(await mustSlipway(['inspect', 'guestbook:v1'], { root })).toContain(
      'guestbook kube, env GREETING: kubectl apply -f 1-namespace.yaml && kubectl apply -f 2-settings.yaml\n',
    );
  });

  it('application: alone, it is for run-app, and only for that', async () => {
    const flags = ['--type', 'app-installer', '--build-arg', 'BASE=scratch'];
    await build('application', 'guestbook:alone', ...flags);
    expect(
      (await rootfs('guestbook:alone')).filter((path) => path.endsWith('.yaml') || path.endsWith('.tmpl')),
    ).toEqual(['application/apps/guestbook/1-namespace.yaml', 'application/apps/guestbook/2-settings.yaml.tmpl']);
    expect((await inspect('guestbook:alone')).launch).toEqual({ cmds: [], apps: ['guestbook'] });
    expect(await mustSlipway(['inspect', 'guestbook:alone'], { root })).toMatch(
      /^Type: +app-installer, for "slipway run-app"\nNeeds: +Kubernetes >=1\.20$/m,
    );
    const run = await slipway(['run', 'guestbook:alone', '--masters', '127.0.0.1', '--dry-run'], { root });
    expect([run.code, run.stderr]).toEqual([1, expect.stringContaining('run-app')]);
    const lint = ['lint', '--strict', ...flags, join(EXAMPLES, 'application')];
    expect(await mustSlipway(lint, { root })).toContain('0 errors, 0 warnings');
  });
});

/** Builds an example and gives the digest. */
async function build(example: string, tag: string, ...flags: string[]): Promise<string> {
  return (await mustSlipway(['build', '-q', '-t', tag, ...flags, join(EXAMPLES, example)], { root })).trim();
}

async function inspect(image: string): Promise<Inspected> {
  return JSON.parse(await mustSlipway(['inspect', '--json', image], { root }));
}

/** The paths in an image's rootfs. */
async function rootfs(image: string): Promise<string[]> {
  const listing = await mustSlipway(['inspect', '--rootfs', image], { root });
  return listing.split('\n').map((line) => line.split(/\s+/).at(-1) ?? '');
}
