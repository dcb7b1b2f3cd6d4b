import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { login } from '../registry/login.js';
import { action, addGlobalFlags, examples } from './action.js';
import { askPassword, askText } from './prompt.js';
import {
  addConnectionFlags,
  addCredentialFlags,
  type RegistryFlags,
  readCredential,
  registryOptions,
} from './registry-flags.js';

export function define(program: Command): void {
  const command = program
    .command('login')
    .description('Prove a user name and password to a registry, then keep them for pull and push.')
    .argument('[registry]', 'host[:port]', 'docker.io');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway login registry.example.com', 'asks for user name and password'],
        ['pass show registry | slipway login -u ci --password-stdin localhost:5000', 'for scripts'],
      ),
    )
    .action(
      action<[string], RegistryFlags>(async (context, flags, registry) => {
        const host = registryHost(registry);
        const credential = await completeCredential(flags, host);
        const { credential: _, ...options } = await registryOptions(context, {});
        const place = await login(host, credential, {
          ...options,
          ...(flags.plainHttp ? { plainHttp: true } : {}),
          ...(flags.insecureSkipVerify ? { insecureSkipVerify: true } : {}),
          ...(flags.certDir === undefined ? {} : { certDir: flags.certDir }),
        });
        if (context.json) context.out.json({ registry: host, credentials: place });
        else context.out.line(context.quiet ? host : `Logged in to ${host}; the credentials are in ${place}`);
      }),
    );
}

/** `https://host/v1/` is what old habits write; only the host counts. */
export function registryHost(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (host === '' || /\s/.test(host))
    throw new SlipwayError('E_USAGE', `${JSON.stringify(text)} is not a registry`, { hint: 'give host[:port]' });
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host;
}

async function completeCredential(flags: RegistryFlags, host: string): Promise<{ username: string; password: string }> {
  if (flags.username !== undefined && (flags.password !== undefined || flags.passwordStdin)) {
    const given = readCredential(flags);
    if (given !== undefined) return given;
  }
  if (!process.stdin.isTTY)
    throw new SlipwayError('E_USAGE', flags.username === undefined ? 'no user name given' : 'no password given', {
      hint: 'slipway login -u NAME --password-stdin HOST < FILE',
    });
  const username = flags.username ?? (await askText(`User name for ${host}: `));
  const password = flags.password ?? (await askPassword(`Password for ${username} at ${host}: `));
  return { username, password };
}
