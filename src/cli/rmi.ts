import type { Command } from 'commander';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { counted, formatBytes } from '../base/format.js';
import { sameName } from '../image/reference.js';
import { collect } from '../store/collect.js';
import { findImage } from '../store/local-image.js';
import { imageMounts } from '../store/mounts.js';
import type { Store } from '../store/store.js';
import { action, addGlobalFlags, examples } from './action.js';

interface Flags {
  readonly all?: boolean;
  readonly force?: boolean;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('rmi'))
    .description('Remove images, and what only they needed. What the build cache needs stays until "slipway prune".')
    .argument('[images...]', 'names, or beginnings of ids')
    .option('-a, --all', 'every image')
    .option('-f, --force', 'no error for an image that is not there')
    .addHelpText('after', examples(['slipway rmi k8s:v1 k8s:v2', 'two images'], ['slipway rmi --all', 'everything']))
    .action(
      action<[string[]], Flags>(async (context, flags, wanted) => {
        const store = await context.store();
        if (wanted.length === 0 && !flags.all)
          throw new SlipwayError('E_USAGE', 'no image given', { hint: 'slipway rmi IMAGE …, or slipway rmi --all' });
        const names = flags.all ? (await store.images()).map(({ name }) => name) : [];
        for (const text of wanted) {
          try {
            names.push(...(await namesOf(store, text, flags.force === true)));
          } catch (error) {
            if (!flags.force || !(error instanceof SlipwayError) || error.code !== 'E_NOT_FOUND') throw error;
          }
        }
        const mounts = await imageMounts(store);
        for (const name of names) {
          const mount = mounts.find((other) => other.name === name);
          if (mount !== undefined)
            throw new SlipwayError('E_MOUNT', `${name} is mounted at ${mount.target}`, {
              hint: `slipway umount ${mount.target}`,
            });
        }
        for (const name of names) {
          await store.untag(name);
          if (!context.json) context.out.line(context.quiet ? name : `Untagged: ${name}`);
        }
        let kept = 'another process uses the store: the space is freed by the next rmi or prune';
        const collected = await collect(store).catch((error: unknown) => {
          // The names are gone, as was asked; that nothing can be freed is for the person to know.
          if (!isSlipwayError(error, 'E_STORE')) throw error;
          kept = `${error.message}; ${error.hint}`;
          return undefined;
        });
        if (context.json) return context.out.json({ untagged: names, freedBytes: collected?.bytes ?? 0 });
        if (context.quiet) return;
        if (collected === undefined) context.reporter.warn(kept);
        else if (collected.blobs > 0)
          context.out.line(`Freed: ${formatBytes(collected.bytes)} (${counted(collected.blobs, 'blob')})`);
      }),
    );
}

/** The names that a word stands for: itself, or all names of the image when it is an id. */
async function namesOf(store: Store, text: string, force: boolean): Promise<readonly string[]> {
  const { name, descriptor } = await findImage(store, text);
  const all = (await store.images()).filter((image) => image.descriptor.digest === descriptor.digest);
  if (all.some((image) => image.name === name) && (text.includes('@') || sameName(name, text))) return [name];
  if (all.length === 0) {
    throw new SlipwayError('E_NOT_FOUND', `${text} has no name of its own that could be removed`, {
      hint: `it belongs to ${name}, or a cluster that runs it ("slipway status --list") keeps it`,
    });
  }
  if (all.length > 1 && !force) {
    throw new SlipwayError('E_USAGE', `${text} has ${all.length} names: ${all.map((image) => image.name).join(', ')}`, {
      hint: 'give a name, or take them all with --force',
    });
  }
  return all.map((image) => image.name);
}
