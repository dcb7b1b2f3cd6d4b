import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { parsePlatform } from '../image/platform.js';
import { type PushResult, pushToRegistry } from '../install/push-to-registry.js';
import { chooseCluster } from '../install/state/known-clusters.js';
import { parsePlace } from '../registry/places/place.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { addConnectionFlags, type RegistryFlags, registryOptions } from './registry-flags.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, Pick<RegistryFlags, 'plainHttp' | 'insecureSkipVerify' | 'certDir'> {
  readonly cluster?: string;
  readonly as?: string;
  readonly platform?: string;
  readonly all?: boolean;
  readonly concurrency?: string;
}

const PLACES = `
Images:
  NAME, or store:NAME           of the store of this machine
  docker://NAME                 of a registry
  oci:DIR[:NAME]                of an OCI layout
  oci-archive:FILE[:NAME]       of an OCI layout as a tar
  docker-archive:FILE[:NAME]    of what "docker save" and "podman save" write
`;

/** `registry push` and `registry sync`. */
export function definePush(registry: Command): void {
  const push = registry
    .command('push')
    .description(
      'Put container images into the registry of a cluster that is up, on every host that serves it, over SSH. What is there already is not sent again; everything is verified by the hosts. Pods find them under their own names.',
    )
    .argument('<image...>', 'a place, see below')
    .option('--as <name>', 'the name that pods give it, when one image is pushed (default: the name that it has)')
    .option('-a, --all', 'the images for all platforms, and their index')
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)');
  addFlags(addConnectionFlags(push))
    .addHelpText('after', PLACES)
    .addHelpText(
      'after',
      examples(
        ['slipway registry push docker-archive:tool.tar', 'what docker saved, under the name that it has there'],
        ['slipway registry push docker://quay.io/plant/tool:1', 'straight from another registry'],
        ['slipway registry push store:tool:dev --as quay.io/plant/tool:2 --cluster plant-7', 'under another name'],
      ),
    )
    .action(
      action<[readonly string[]], Flags>(async (context, flags, images) => {
        if (flags.all && flags.platform !== undefined)
          throw new SlipwayError('E_USAGE', '--all and --platform exclude each other');
        if (flags.as !== undefined && images.length > 1)
          throw new SlipwayError('E_USAGE', '--as names one image, and several are given');
        print(context, await run(context, flags, images));
      }),
    );
  addFlags(registry.command('sync'))
    .description(
      'Bring the hosts that serve the registry of a cluster in step: what one of them has, because it was pushed there or the others were down, all have. "apply" and "registry push" do it too.',
    )
    .addHelpText('after', examples(['slipway registry sync --cluster plant-7', 'after somebody pushed with docker']))
    .action(
      action<[], Flags>(async (context, flags) => {
        print(context, await run(context, flags, []));
      }),
    );
}

function addFlags(command: Command): Command {
  command
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)');
  return addGlobalFlags(addHostFlags(command));
}

async function run(context: CliContext, flags: Flags, images: readonly string[]): Promise<PushResult> {
  const places = images.map(parsePlace);
  const { name } = await chooseCluster(context.root, flags.cluster);
  const concurrency = wholeNumber('--concurrency', flags.concurrency);
  const { as, all, platform } = flags;
  return pushToRegistry(
    {
      cluster: name,
      images: places,
      as,
      all,
      platform: platform === undefined ? undefined : parsePlatform(platform),
      ssh: await sshFlags(flags),
      sourceRegistry: () => registryOptions(context, flags),
      ...(concurrency === undefined ? {} : { concurrency }),
    },
    {
      store: await context.store(),
      reporter: context.reporter,
      signal: context.signal,
      connect: hostConnector(context, flags),
    },
  );
}

function print({ json, quiet, out }: CliContext, { cluster, images, servers, supplied, silent }: PushResult): void {
  if (json) {
    out.json({
      schema: 1,
      cluster,
      images: images.map(({ copied, reused, ...image }) => ({ ...image, copiedBytes: copied, reusedBytes: reused })),
      servers,
      supplied,
      silent,
    });
  } else if (quiet) for (const { digest } of images) out.line(digest);
  else {
    for (const { name, digest, copied, reused } of images) {
      const what =
        copied === 0 ? 'was there already' : `${formatBytes(copied)} sent, ${formatBytes(reused)} were there`;
      out.line(`${name} (${digest}): ${what}`);
    }
    const brought = supplied.length === 0 ? '' : `; brought to ${supplied.join(', ')}`;
    out.line(`the registry of cluster ${cluster} is served by ${servers.join(', ')}${brought}`);
  }
  // A script learns that some hosts have not got it.
  if (silent.length > 0) process.exitCode = 1;
}
