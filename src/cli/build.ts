import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { type BuildOptions, buildImage } from '../build/build.js';
import { parseCacheFrom, parseCacheTo } from '../build/cache/cache-spec.js';
import { parseSecretFlag, readSecret } from '../build/run/mounts/secrets.js';
import { type ClusterImageType, IMAGE_TYPES } from '../image/cluster-image.js';
import type { Compression } from '../image/media-types.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { buildArgs } from './build-args.js';
import { parseDuration } from './duration.js';
import { assignments, platforms, readEpoch, tagName } from './flag-values.js';
import { addImageFlags, type ImageFlags, imageCollection } from './image-flags.js';
import { pushLine, pushSummary } from './push-result.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';
import { asRootFor } from './rootless.js';

interface Flags extends RegistryFlags, ImageFlags {
  readonly tag?: readonly string[];
  readonly file?: string;
  readonly buildArg?: readonly string[];
  readonly platform?: readonly string[];
  readonly target?: string;
  readonly cache: boolean;
  readonly cacheFrom?: readonly string[];
  readonly cacheTo?: readonly string[];
  readonly label?: readonly string[];
  readonly annotation?: readonly string[];
  readonly type?: ClusterImageType;
  readonly buildMode: 'all' | 'lite';
  readonly isolation: 'auto' | 'host' | 'container';
  readonly network: 'host' | 'none';
  readonly secret?: readonly string[];
  readonly runTimeout?: string;
  readonly pull: 'missing' | 'always' | 'never';
  readonly compression: string;
  readonly push?: boolean;
  readonly metadataFile?: string;
  readonly iidfile?: string;
}

export function define(program: Command): void {
  const command = program
    .command('build')
    .description('Build a ClusterImage from a Kubefile.')
    .argument('<context>', 'the directory that COPY takes from')
    .option('-t, --tag <name>', 'a name for the image; may be given several times', repeatable)
    .option('-f, --file <path>', 'the Kubefile, - for standard input (default: Kubefile in the context)')
    .option('--build-arg <name=value>', 'a value for an ARG; may be given several times', repeatable)
    .option(
      '--platform <os/arch[,…]>',
      'what the image is for (default: this machine); several give an index with an image for each',
      repeatable,
    )
    .option('--target <stage>', 'stop after this stage')
    .option('--no-cache', 'run every instruction again')
    .option(
      '--cache-from <type=registry,ref=name>',
      'a cache in a registry to take from; may be given several times',
      repeatable,
    )
    .option(
      '--cache-to <type=registry,ref=name[,mode=min|max]>',
      'where to store the cache of this build: of the image only (min), or of all stages',
      repeatable,
    )
    .option('--label <name=value>', 'a label for the image; may be given several times', repeatable)
    .option('--annotation <name=value>', 'an annotation for the manifest; may be given several times', repeatable)
    .addOption(new Option('--type <type>', 'what the image installs (default: kube-installer)').choices(IMAGE_TYPES))
    .addOption(
      new Option('--build-mode <mode>', 'lite collects container images only where BASE says so')
        .choices(['all', 'lite'])
        .default('all'),
    )
    .addOption(
      new Option('--isolation <mode>', 'where RUN runs: in the rootfs, or with the tools of this machine')
        .choices(['auto', 'host', 'container'])
        .default('auto'),
    )
    .addOption(new Option('--network <mode>', 'the network of RUN').choices(['host', 'none']).default('host'))
    .option(
      '--secret <id=name[,src=file|,env=variable]>',
      'what RUN --mount=type=secret may ask for; may be given several times',
      repeatable,
    )
    .option('--run-timeout <duration>', 'end a RUN that takes longer, such as 90s or 10m (default: no limit)')
    .addOption(
      new Option('--pull <policy>', 'when to ask registries for base images and container images')
        .choices(['missing', 'always', 'never'])
        .default('missing'),
    )
    .option(
      '--compression <kind[:level]>',
      'how layers are compressed: gzip (level 0 to 9), zstd (1 to 22) or none',
      'gzip',
    )
    .option('--push', 'push the image under all its names; its layers are on their way while others are built')
    .option('--metadata-file <file>', 'write name and digest of the result to this file, as JSON')
    .option('--iidfile <file>', 'write the digest of the result to this file');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(addImageFlags(command))))
    .addHelpText(
      'after',
      examples(
        ['slipway build -t k8s:v1 .', 'from the Kubefile in this directory'],
        [
          'slipway build -t localhost:5000/k8s:v1 --build-arg VERSION=v1.29.2 -f k8s.kubefile basefs/kubernetes',
          'another Kubefile, with a build argument',
        ],
        [
          'slipway build -t k8s:v1 --secret id=token,src=token.txt --run-timeout 10m .',
          'with a secret for RUN --mount=type=secret,id=token, and ten minutes for each RUN at most',
        ],
        ['slipway build -t registry.example.com/k8s:v1 --push .', 'and push it'],
        [
          'slipway build -t k8s:v1 --platform linux/amd64,linux/arm64 .',
          'for two architectures: an index with two images',
        ],
      ),
    )
    .action(
      asRootFor(
        hasRun,
        action<[string], Flags>(async (context, flags, directory) => {
          const names = (flags.tag ?? []).map((text) => tagName(text));
          checkContext(directory);
          const { compression, level } = parseCompression(flags.compression);
          const epoch = readEpoch(process.env.SOURCE_DATE_EPOCH);
          if (flags.push && names.length === 0)
            throw new SlipwayError('E_USAGE', '--push needs a name for the image', {
              hint: 'give it one with -t NAME',
            });
          const store = await context.store();
          const options: BuildOptions = {
            context: directory,
            ...(flags.file === undefined ? {} : { kubefile: flags.file }),
            platforms: platforms(flags.platform ?? []),
            tags: names,
            buildArgs: buildArgs(flags.buildArg ?? []),
            ...(flags.target === undefined ? {} : { target: flags.target }),
            ...(flags.type === undefined ? {} : { type: flags.type }),
            mode: flags.buildMode,
            useCache: flags.cache,
            cacheFrom: (flags.cacheFrom ?? []).map(parseCacheFrom),
            cacheTo: (flags.cacheTo ?? []).map(parseCacheTo),
            pull: flags.pull,
            isolation: flags.isolation,
            network: flags.network,
            secrets: await readSecrets(flags.secret ?? []),
            ...(flags.runTimeout === undefined
              ? {}
              : { runTimeoutMs: parseDuration('--run-timeout', flags.runTimeout) }),
            labels: assignments(flags.label ?? [], '--label'),
            annotations: assignments(flags.annotation ?? [], '--annotation'),
            images: imageCollection(flags),
            lock: flags.lock,
            compression,
            ...(level === undefined ? {} : { compressionLevel: level }),
            ...(epoch === undefined ? {} : { epoch }),
            registry: await registryOptions(context, flags),
            reporter: context.reporter,
            signal: context.signal,
            version: VERSION,
          };
          const { descriptor, pushed = [] } = flags.push
            ? await (await import('../build/build-and-push.js')).buildAndPush(store, options)
            : { descriptor: await buildImage(store, options) };
          const { digest, mediaType, size } = descriptor;
          const result = { digest, mediaType, size, names, ...(flags.push ? { pushed: pushed.map(pushSummary) } : {}) };
          if (flags.iidfile !== undefined) await writeFile(flags.iidfile, digest);
          if (flags.metadataFile !== undefined)
            await writeFile(flags.metadataFile, `${JSON.stringify(result, null, 2)}\n`);
          if (context.json) context.out.json(result);
          else if (context.quiet) context.out.line(digest);
          else
            context.out.line(
              [`Built ${digest}`, ...names.map((name) => `Tagged ${name}`), ...pushed.map(pushLine)].join('\n'),
            );
        }),
      ),
    );
}

/** True when the Kubefile may have a RUN: a wrong yes costs a process. What cannot be read is for the build to say. */
async function hasRun({ file }: Pick<Flags, 'file'>, directory: string): Promise<boolean> {
  if (file === '-') return true;
  const text = await readFile(file ?? join(directory, 'Kubefile'), 'utf8').catch(() => '');
  return /^\s*RUN\b/im.test(text);
}

/** `--secret`, read at once: what is missing is said before anything is built. */
async function readSecrets(list: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const secrets = new Map<string, Uint8Array>();
  for (const text of list) {
    const [id, source] = parseSecretFlag(text, process.env);
    if (secrets.has(id)) throw new SlipwayError('E_USAGE', `--secret: there are two with the id ${id}`);
    secrets.set(id, await readSecret(id, source));
  }
  return secrets;
}

const LEVELS: Readonly<Record<Compression, readonly [number, number]>> = { gzip: [0, 9], zstd: [1, 22], none: [0, 0] };

function parseCompression(text: string): { compression: Compression; level: number | undefined } {
  const [kind = '', level, rest] = text.split(':');
  if (kind !== 'gzip' && kind !== 'zstd' && kind !== 'none')
    throw new SlipwayError('E_USAGE', `--compression ${text}: unknown kind`, { hint: 'gzip, zstd or none' });
  const [least, most] = LEVELS[kind];
  const number = level === undefined ? undefined : Number(level);
  if (
    rest !== undefined ||
    (number !== undefined && !(Number.isInteger(number) && number >= least && number <= most)) ||
    level === ''
  ) {
    throw new SlipwayError('E_USAGE', `--compression ${text}: the level of ${kind} is ${least} to ${most}`);
  }
  return { compression: kind, level: number };
}

/** What docker takes as a context and we do not is said as such: else it would be a file that is missing. */
function checkContext(context: string): void {
  if (context === '-')
    throw new SlipwayError('E_USAGE', 'a context is a directory: it cannot come from standard input', {
      hint: 'a Kubefile can: slipway build -f - DIRECTORY',
    });
  if (/^(?:[a-z][a-z0-9+]*:\/\/|git@)/i.test(context))
    throw new SlipwayError('E_USAGE', `${context}: a context is a directory, not an address`, {
      hint: 'fetch it first (git clone …), or use ADD in the Kubefile',
    });
}
