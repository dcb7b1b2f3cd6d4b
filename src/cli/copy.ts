import { Argument, type Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { parsePlatform } from '../image/platform.js';
import { copyBetween } from '../registry/places/copy-between.js';
import { type Place, parsePlace } from '../registry/places/place.js';
import { action, addGlobalFlags, examples } from './action.js';
import { addConnectionFlags, addCredentialFlags } from './registry-flags.js';
import { addSideFlags, type SideFlags, sideRegistries } from './side-flags.js';

interface Flags extends SideFlags {
  readonly platform?: string;
  readonly all?: boolean;
  readonly preserveDigests?: boolean;
}

const PLACES = `
Places:
  docker://NAME                 an image of a registry
  oci:DIR[:NAME]                an OCI layout: a directory with any number of images
  oci-archive:FILE[:NAME]       an OCI layout as a tar
  docker-archive:FILE[:NAME]    what "docker save" and "podman save" write
  store:NAME, or a bare NAME    the local store
  A destination without NAME gets the name of the source. FILE may be "-".
`;

export function define(program: Command): void {
  const command = program
    .command('copy')
    .description(
      'Copy an image between any two places: registries, OCI layouts, archives, the store. What is there already is not sent again; everything is verified, and digests stay as they are.',
    )
    .addArgument(new Argument('<source>', 'a place, see below'))
    .addArgument(new Argument('<destination>', 'a place, see below'))
    .option('-a, --all', 'the images for all platforms, and their index')
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)')
    .option('--preserve-digests', 'refuse a destination that cannot keep digests: a docker archive');
  addGlobalFlags(addSideFlags(addCredentialFlags(addConnectionFlags(command))))
    .addHelpText('after', PLACES)
    .addHelpText(
      'after',
      examples(
        ['slipway copy docker://docker.io/library/busybox:1.36 oci:/srv/images', 'into an OCI layout, under its name'],
        [
          'slipway copy --all docker://quay.io/k0s/base:v1 docker://mirror.lan:5000/k0s/base:v1',
          'from registry to registry, all platforms; nothing is written to this disk',
        ],
        ['slipway copy k8s:v1 oci-archive:k8s.tar', 'from the store to a file'],
        ['slipway copy docker-archive:web.tar store:web:1.0', 'what docker saved, into the store'],
        [
          'slipway copy --src-creds ann:secret --dest-username ci --dest-password-stdin docker://a.example/x docker://b.example/x',
          'each registry with its own credentials',
        ],
      ),
    )
    .action(
      action<[string, string], Flags>(async (context, flags, source, destination) => {
        if (flags.all && flags.platform !== undefined)
          throw new SlipwayError('E_USAGE', '--all and --platform exclude each other');
        const [from, to] = [parsePlace(source), parsePlace(destination)];
        if (pathOf(from) === '-' && process.stdin.isTTY)
          throw new SlipwayError('E_USAGE', 'no archive given', { hint: 'pipe one in, or name a file' });
        const toStandardOutput = ['-', '/dev/stdout'].includes(pathOf(to) ?? '');
        if (toStandardOutput && process.stdout.isTTY)
          throw new SlipwayError('E_USAGE', 'an archive is not written to a terminal', { hint: 'pipe it on' });
        const { descriptor, copied, resumed, reused } = await copyBetween(from, to, {
          platform: flags.platform === undefined ? undefined : parsePlatform(flags.platform),
          all: flags.all,
          preserveDigests: flags.preserveDigests,
          ...sideRegistries(context, flags, from, to),
          store: context.store,
          reporter: context.reporter,
          signal: context.signal,
        });
        const { digest, mediaType } = descriptor;
        const kept = to.transport !== 'docker-archive';
        if (toStandardOutput) return;
        if (context.json)
          context.out.json({
            source: from.text,
            destination: to.text,
            digest,
            mediaType,
            digestKept: kept,
            copiedBytes: copied,
            resumedBytes: resumed,
            reusedBytes: reused,
          });
        else if (context.quiet) context.out.line(digest);
        else
          context.out.line(
            `Copied ${shown(from)} to ${shown(to)} (${digest}${kept ? '' : ', which a docker archive does not keep'}): ${formatBytes(copied)} copied, ${resumed === 0 ? '' : `${formatBytes(resumed)} of a broken copy taken over, `}${formatBytes(reused)} were there`,
          );
      }),
    );
}

/** A bare name is one of the store, also when it looks like one of a registry. */
function shown({ transport, text }: Place): string {
  return transport === 'store' && !text.startsWith('store:') ? `store:${text}` : text;
}

/** The file of an archive. */
function pathOf(place: Place): string | undefined {
  return place.transport === 'oci-archive' || place.transport === 'docker-archive' ? place.path : undefined;
}
