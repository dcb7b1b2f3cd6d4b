import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { mergeImages } from '../build/merge/merge-images.js';
import { putIndex } from '../build/put-index.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { assignments, platforms, readEpoch, tagName } from './flag-values.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

interface Flags extends RegistryFlags {
  readonly tag?: readonly string[];
  readonly platform?: readonly string[];
  readonly force?: boolean;
  readonly pull: 'missing' | 'always' | 'never';
  readonly label?: readonly string[];
  readonly annotation?: readonly string[];
}

export function define(program: Command): void {
  const command = program
    .command('merge')
    .description(
      'Make one image of several: files, Metadata, launch commands, applications and container images. The later ones lie on top.',
    )
    .argument('<image>', 'the lowest image, as a rule the one that installs the cluster')
    .argument('<another-image...>', 'what is added, in this order')
    .option('-t, --tag <name>', 'a name for the image; may be given several times', repeatable)
    .option('--force', 'where the images contradict each other, let the later one win')
    .option(
      '--platform <os/arch[,…]>',
      'what the image is for (default: this machine); several give an index',
      repeatable,
    )
    .addOption(
      new Option('--pull <policy>', 'when to ask the registry for an image')
        .choices(['missing', 'always', 'never'])
        .default('missing'),
    )
    .option('--label <name=value>', 'a label for the image; may be given several times', repeatable)
    .option('--annotation <name=value>', 'an annotation for the manifest; may be given several times', repeatable);
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway merge -t shop:v1 k8s:v1.29.2 mysql:v8 redis:v7', 'a cluster with two applications'],
        ['slipway merge -t shop:v2 --platform linux/amd64,linux/arm64 k8s:v1.29.2 mysql:v8', 'for two architectures'],
        ['slipway diff k8s:v1.29.2 shop:v1', 'what came of it'],
      ),
    )
    .action(
      action<[string, readonly string[]], Flags>(async (context, flags, first, others) => {
        const names = (flags.tag ?? []).map(tagName);
        if (names.length === 0)
          throw new SlipwayError('E_USAGE', 'the merged image needs a name', { hint: 'add -t NAME' });
        const store = await context.store();
        const options = {
          force: flags.force === true,
          pull: flags.pull,
          labels: assignments(flags.label ?? [], '--label'),
          annotations: assignments(flags.annotation ?? [], '--annotation'),
          epoch: readEpoch(process.env.SOURCE_DATE_EPOCH),
          registry: await registryOptions(context, flags),
          reporter: context.reporter,
          signal: context.signal,
          version: VERSION,
        };
        const descriptor = await store.use(async () => {
          const merged = [];
          for (const platform of platforms(flags.platform ?? []))
            merged.push((await mergeImages(store, [first, ...others], { ...options, platform })).descriptor);
          const [only, second] = merged;
          const image = only !== undefined && second === undefined ? only : await putIndex(store, merged);
          for (const name of names) await store.tag(name, image);
          return image;
        });
        const { digest, mediaType, size } = descriptor;
        if (context.json) context.out.json({ digest, mediaType, size, names });
        else if (context.quiet) context.out.line(digest);
        else context.out.line([`Merged ${digest}`, ...names.map((name) => `Tagged ${name}`)].join('\n'));
      }),
    );
}
