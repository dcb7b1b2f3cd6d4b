import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import { startServer } from '../registry/server/server.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { definePush } from './registry-push.js';
import { defineRotate } from './registry-rotate.js';

/** Milliseconds for which transfers may go on after the server was told to end. */
const GRACE = 30_000;

interface ServeFlags {
  readonly listen: string;
  readonly readOnly?: boolean;
  readonly htpasswd?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly name?: readonly string[];
}

export function define(program: Command): void {
  const registry = program
    .command('registry')
    .description('The registry of a cluster, and a small one over the store of this machine.')
    .usage('COMMAND [flags]')
    .addHelpText(
      'after',
      examples(
        ['slipway registry push docker-archive:tool.tar', 'an image that comes later, into the registry of a cluster'],
        ['slipway registry serve', 'the store of this machine, as a registry'],
      ),
    );
  definePush(registry);
  defineRotate(registry);
  addGlobalFlags(registry.command('serve'))
    .description(
      'Serve the store as a registry, until it is stopped with Ctrl-C or SIGTERM. What is pushed to it is in the store.',
    )
    .option('--listen <host:port>', 'where to listen; port 0 takes a free one', '127.0.0.1:5000')
    .option('--read-only', 'refuse pushes and deletes')
    .option(
      '--htpasswd <file>',
      'let only these users in (bcrypt, as htpasswd -B writes them); read again when it changes',
    )
    .option('--tls-cert <file>', 'certificate (PEM, with its chain); read again when it changes')
    .option('--tls-key <file>', 'key of the certificate')
    .option(
      '--name <host>',
      'at a loopback address: a name by which it may be asked, beside localhost and those of the certificate; may be given several times',
      repeatable,
    )
    .addHelpText(
      'after',
      examples(
        ['slipway registry serve', 'at 127.0.0.1:5000, for this machine only'],
        [
          'slipway registry serve --listen 0.0.0.0:5000 --htpasswd users --tls-cert r.crt --tls-key r.key',
          'for others',
        ],
        ['slipway registry serve --read-only --root /mnt/usb/store', 'straight from a disk'],
      ),
    )
    .action(
      action<[], ServeFlags>(async (context, { listen, readOnly, htpasswd, tlsCert, tlsKey, name }) => {
        if ((tlsCert === undefined) !== (tlsKey === undefined))
          throw new SlipwayError('E_USAGE', '--tls-cert and --tls-key belong together');
        const server = await startServer({
          store: await context.store(),
          listen,
          readOnly,
          htpasswd,
          names: name,
          tls: tlsCert === undefined || tlsKey === undefined ? undefined : { cert: tlsCert, key: tlsKey },
          reporter: context.reporter,
        });
        // Whoever started us waits for this line; it says the port when that was 0.
        if (context.json) context.out.line(JSON.stringify({ address: server.address }));
        else context.out.line(`Serving ${context.root} at ${server.address}`);
        await new Promise<void>((resolve) => {
          context.signal.addEventListener('abort', () => resolve(), { once: true });
        });
        const busy = server.busy();
        if (busy > 0) {
          const requests = busy === 1 ? 'a request' : `${busy} requests`;
          context.reporter.info(`finishing ${requests}, for ${formatDuration(GRACE)} at most`);
        }
        await server.close(GRACE);
      }),
    );
}
