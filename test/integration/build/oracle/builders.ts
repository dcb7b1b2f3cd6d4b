import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { silentReporter } from '../../../../src/base/reporter.js';
import { buildImage } from '../../../../src/build/build.js';
import { parsePlatform } from '../../../../src/image/platform.js';
import { readImage } from '../../../../src/store/local-image.js';
import { Store } from '../../../../src/store/store.js';
import { must, run } from '../../registry/support/programs.js';
import type { OracleCase } from './case.js';
import { makeFiles } from './files.js';
import { unpackedTree } from './tree.js';

/** What a builder made of a case. */
export type Built =
  | { readonly tree: readonly string[]; readonly config: Readonly<Record<string, unknown>> }
  | { readonly error: string };

/** Builds cases; `close` leaves nothing behind. */
export interface Builder {
  build(dir: string, test: OracleCase): Promise<Built>;
  close(): Promise<void>;
}

/** Writes what both builders read: `context/`, `Kubefile`, and one Kubefile for each image that is built before. */
export function prepareCase(dir: string, test: OracleCase): void {
  makeFiles(join(dir, 'context'), test.context);
  writeFileSync(join(dir, 'Kubefile'), test.kubefile);
  for (const [name, text] of Object.entries(test.images ?? {})) writeFileSync(join(dir, `${name}.image`), text);
  if (test.kubefileIgnore !== undefined) {
    for (const name of ['Kubefile', 'Kubefile.docker'])
      writeFileSync(join(dir, `${name}.dockerignore`), test.kubefileIgnore);
  }
}

/** Debian's buildah, without a daemon and with a storage of its own in `temp`. */
export function buildahBuilder(temp: string): Builder {
  const storage = ['--root', join(temp, 'root'), '--runroot', join(temp, 'run'), '--storage-driver', 'vfs'];
  const bud = (dir: string, file: string, to: string, args: readonly string[]) =>
    run('buildah', [
      ...storage,
      'bud',
      ...['--isolation', 'chroot', '--format', 'docker', '--pull=never', '--quiet', ...args],
      ...['-t', to, '-f', join(dir, file), join(dir, 'context')],
    ]);
  return {
    async build(dir, { args = {}, target, images = {} }) {
      for (const name of Object.keys(images)) {
        const { code, stderr } = await bud(dir, `${name}.image`, `localhost/${name}`, []);
        if (code !== 0) return { error: stderr };
      }
      const out = join(dir, 'buildah');
      const { code, stderr } = await bud(dir, 'Kubefile', `dir:${out}`, [
        ...Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
        ...(target === undefined ? [] : ['--target', target]),
      ]);
      if (code !== 0) return { error: stderr };
      const blob = (digest: string): string => join(out, digest.replace('sha256:', ''));
      const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as {
        readonly config: { readonly digest: string };
        readonly layers: readonly { readonly digest: string }[];
      };
      const layers = manifest.layers.map(({ digest }) => blob(digest));
      return {
        tree: await unpackedTree(dir, layers),
        config: plainConfig(JSON.parse(readFileSync(blob(manifest.config.digest), 'utf8'))),
      };
    },
    async close() {
      await must('buildah', [...storage, 'rm', '--all']);
      await must('buildah', [...storage, 'rmi', '--all', '--force']);
    },
  };
}

/** Our builder, in this process, with a store of its own in `temp`. */
export async function ourBuilder(temp: string): Promise<Builder> {
  const store = await Store.open(join(temp, 'store'));
  const platform = parsePlatform('linux/amd64');
  const build = (dir: string, file: string, tag: string, { args = {}, target }: Partial<OracleCase>) => {
    writeFileSync(join(dir, `${file}.docker`), `# dialect=docker\n${readFileSync(join(dir, file), 'utf8')}`);
    return buildImage(store, {
      context: join(dir, 'context'),
      kubefile: join(dir, `${file}.docker`),
      platforms: [platform],
      tags: [tag],
      buildArgs: args,
      ...(target === undefined ? {} : { target }),
      mode: 'all',
      useCache: false,
      pull: 'never',
      isolation: 'auto',
      network: 'none',
      labels: {},
      annotations: {},
      images: { lists: [], ignoredLists: [], fromArgs: false, charts: 'ignore' },
      lock: 'ignore',
      secrets: new Map(),
      cacheFrom: [],
      cacheTo: [],
      compression: 'none',
      registry: {},
      reporter: silentReporter,
      signal: new AbortController().signal,
      version: '0.0.0',
    });
  };
  return {
    async build(dir, test) {
      try {
        for (const name of Object.keys(test.images ?? {})) await build(dir, `${name}.image`, `localhost/${name}`, {});
        await build(dir, 'Kubefile', 'localhost/result', test);
      } catch (error) {
        if (!isSlipwayError(error)) throw error;
        return { error: `${error.code}: ${error.message}` };
      }
      const { manifest, config } = await readImage(store, 'localhost/result');
      const layers = manifest.layers.map(({ digest }) => store.blobPath(digest));
      return { tree: await unpackedTree(dir, layers), config: plainConfig(config) };
    },
    async close() {
      await store.close();
      rmSync(join(temp, 'store'), { recursive: true, force: true });
    },
  };
}

/** What a container of the image would notice, written in one way: empty is absent, the order of variables does not count. */
function plainConfig(image: {
  readonly author?: string | undefined;
  readonly config?: Readonly<Record<string, unknown>> | undefined;
}): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  const settings = image.config ?? {};
  for (const field of FIELDS) {
    let value = settings[field];
    if (field === 'Env') value = [...((value as string[] | undefined) ?? [])].sort();
    if (field === 'Labels') {
      const { 'io.buildah.version': _mark, ...labels } = (value ?? {}) as Record<string, string>;
      value = labels;
    }
    if (field === 'WorkingDir' && value === '/') value = '';
    if (!isEmpty(value)) plain[field] = value;
  }
  if (!isEmpty(image.author)) plain.author = image.author;
  return plain;
}

const FIELDS = [
  ...['User', 'Env', 'Entrypoint', 'Cmd', 'WorkingDir', 'Labels', 'Shell'],
  ...['ExposedPorts', 'Volumes', 'StopSignal', 'Healthcheck', 'OnBuild'],
];

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value as object).length === 0)
  );
}
