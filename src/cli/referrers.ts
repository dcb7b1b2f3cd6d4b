import type { Command } from 'commander';
import { parseReference } from '../image/reference.js';
import { Repository } from '../registry/client.js';
import { action, addGlobalFlags, examples } from './action.js';
import { ago } from './ago.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

interface Flags extends RegistryFlags {
  readonly artifactType?: string;
}

/** OCI image-spec, annotations.md. */
const CREATED = 'org.opencontainers.image.created';

export function define(program: Command): void {
  const command = program
    .command('referrers')
    .description('List what refers to an image of a registry: signatures, SBOMs, attestations.')
    .argument('<name>', '[host[:port]/]repository[:tag][@digest]')
    .option('--artifact-type <type>', 'only those of this type');
  addGlobalFlags(addCredentialFlags(addConnectionFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway referrers registry.example.com/k8s:v1', 'everything'],
        [
          'slipway referrers --artifact-type application/spdx+json -q localhost:5000/k8s:v1',
          'the digests of its SBOMs',
        ],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, text) => {
        const reference = parseReference(text);
        const repository = Repository.of(reference, await registryOptions(context, flags));
        const digest = reference.digest ?? (await repository.resolve(reference.tag ?? 'latest', context.signal)).digest;
        const referrers = await repository.referrers(digest, flags.artifactType);
        if (context.json) return context.out.json({ name: reference.name, digest, referrers });
        if (context.quiet) {
          for (const found of referrers) context.out.line(found.digest);
          return;
        }
        if (referrers.length === 0) return context.reporter.info(`nothing refers to ${reference.name} (${digest})`);
        context.out.table([
          ['DIGEST', 'TYPE', 'CREATED'],
          ...referrers.map((found) => {
            const created = found.annotations?.[CREATED];
            const known = created !== undefined && !Number.isNaN(Date.parse(created));
            return [found.digest, found.artifactType ?? found.mediaType, known ? ago(created) : ''];
          }),
        ]);
      }),
    );
}
