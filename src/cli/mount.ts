import { type Command, Option } from 'commander';
import { parsePlatform } from '../image/platform.js';
import { readImage } from '../store/local-image.js';
import type { PresentMount } from '../store/mount-presence.js';
import { MOUNT_KINDS, type MountKind } from '../store/mount-records.js';
import { imageMounts, mountImage } from '../store/mounts.js';
import type { Shown } from '../store/show-image.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CliContext } from './context.js';

interface Flags {
  readonly platform?: string;
  readonly as: 'auto' | MountKind;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('mount'))
    .description(
      "Show an image's merged rootfs as a read-only directory, and print where. Without an image: list what is mounted.",
    )
    .argument('[image]', 'a name, or the beginning of an id')
    .argument('[directory]', 'an empty directory; default: one in the store')
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)')
    .addOption(
      new Option(
        '--as <kind>',
        'by the kernel (overlay: for root, and in "slipway unshare"), by the program fuse-overlayfs, or as a copy',
      )
        .choices(['auto', ...MOUNT_KINDS])
        .default('auto'),
    )
    .addHelpText(
      'after',
      examples(
        ['slipway mount k8s:v1', 'prints the directory'],
        ['slipway mount k8s:v1 /mnt', 'at a place of your own'],
        ['slipway mount --as copy k8s:v1 ~/rootfs', 'to change something; "slipway umount" removes it'],
        [
          "slipway unshare sh -c 'ls -ln $(slipway mount k8s:v1)'",
          'without root, and with the owners that the image has',
        ],
        ['slipway mount', 'what is mounted'],
      ),
    )
    .action(
      action<[string | undefined, string | undefined], Flags>(async (context, flags, name, target) => {
        const store = await context.store();
        if (name === undefined) return list(context, await imageMounts(store));
        const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
        const image = await readImage(store, name, platform);
        const { reporter, signal } = context;
        const kind = flags.as === 'auto' ? undefined : flags.as;
        const shown = await mountImage(store, image, { target, kind, reporter, signal });
        const { mount } = shown;
        if (context.json) context.out.json({ image: mount.name, directory: mount.target, kind: mount.kind });
        else context.out.verbatim(mount.target);
        const note = noteOn(shown);
        if (note !== undefined) reporter.info(note);
      }),
    );
}

/** What a person has to know of a mount that is none of the kernel's. */
function noteOn({ mount: { kind, target }, obstacles }: Shown): string | undefined {
  const why = obstacles === undefined || obstacles.length === 0 ? '' : ` (${obstacles.join('; ')})`;
  if (kind === 'fuse')
    return process.getuid?.() === 0
      ? `note: mounted by fuse-overlayfs${why}`
      : 'note: mounted by fuse-overlayfs; all files are shown as yours: "slipway unshare" shows the owners that the image has';
  if (kind === 'copy')
    return `note: mounted as a copy${why}: changes do not reach the image, and "slipway umount ${target}" removes them`;
  return undefined;
}

function list({ json, quiet, out }: CliContext, mounts: readonly PresentMount[]): void {
  const rows = mounts.map((mount) => [mount.name, mount.target, `${mount.kind}${remarkOn(mount)}`]);
  if (json) out.json(mounts.map(shownMount));
  else if (rows.length > 0 || !quiet) out.table([['IMAGE', 'DIRECTORY', 'KIND'], ...rows]);
}

function shownMount({ name, target, kind, visible, pid }: PresentMount) {
  return { image: name, directory: target, kind, visible, ...(pid === undefined ? {} : { pid }) };
}

function remarkOn({ visible, pid }: PresentMount): string {
  switch (visible) {
    case 'here':
      return '';
    case 'elsewhere':
      return ` (in another mount namespace${pid === undefined ? '' : `, of process ${pid}`})`;
    case 'unfinished':
      return ' (not finished)';
    case 'changing':
      return ' (being mounted or unmounted)';
  }
}
