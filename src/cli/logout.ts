import type { Command } from 'commander';
import { logout } from '../registry/login.js';
import { action, addGlobalFlags, examples } from './action.js';
import { registryHost } from './login.js';

export function define(program: Command): void {
  addGlobalFlags(program.command('logout'))
    .description('Forget the credentials for a registry.')
    .argument('[registry]', 'host[:port]', 'docker.io')
    .addHelpText(
      'after',
      examples(['slipway logout localhost:5000', 'the credentials go from the file or helper that has them']),
    )
    .action(
      action(async (context, _flags, registry: string) => {
        const host = registryHost(registry);
        const known = await logout(host);
        if (context.json) context.out.json({ registry: host, loggedOut: known });
        else context.out.line(known ? `Logged out of ${host}` : `Not logged in to ${host}`);
      }),
    );
}
