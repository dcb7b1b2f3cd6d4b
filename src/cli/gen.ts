import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { type Adopted, adoptCluster } from '../install/adopt/adopt-cluster.js';
import { clusterfileJsonSchema } from '../install/clusterfile/json-schema.js';
import { productName } from '../install/plan/plan.js';
import { specFromFlags } from '../install/spec/spec-from-flags.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { pullIfMissing } from './launch-flags.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags {
  readonly file?: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly cluster?: string;
  readonly image?: string;
  readonly dataRoot?: string;
  readonly force?: boolean;
  readonly concurrency?: string;
}

export function define(program: Command): void {
  const gen = program
    .command('gen')
    .description(
      'Adopt a cluster that is not known here, and print the Clusterfile that describes it: one of Slipway\'s own whose launching machine is lost, or one that kubeadm or another tool made. Looks at the hosts and changes nothing on them; one master is enough. Or, as "gen schema", print the JSON schema of a Clusterfile.',
    )
    .usage('--masters IPS [flags] | schema')
    .option('-f, --file <file>', 'write the Clusterfile there instead of printing it')
    .option('--masters <ips>', 'masters of the cluster: 10.0.0.2,10.0.0.3; the others are found by asking them')
    .option(
      '--nodes <ips>',
      'workers of the cluster, in the same form; needed only where the first master does not name them',
    )
    .option('--cluster <name>', 'the name that it gets here; a cluster of Slipway has its own (default: my-cluster)')
    .option(
      '--image <image>',
      'the image that it runs; one that Slipway launched from an image of the store is found by itself',
    )
    .option('--data-root <dir>', 'where Slipway keeps its things on the hosts (default: /var/lib/slipway)')
    .option('--force', 'throw away what is known here of a cluster of this name, and overwrite the file')
    .option('--concurrency <n>', 'hosts asked at once (default: 10)');
  addGlobalFlags(addHostFlags(gen))
    .addHelpText(
      'after',
      examples(
        [
          'slipway gen --masters 10.0.0.2 -i ~/.ssh/id_ed25519 -f Clusterfile',
          'the machine that launched the cluster is lost: status, join, upgrade … work from here now',
        ],
        [
          'slipway gen --masters 10.0.0.2 --cluster old',
          'a cluster that kubeadm, k3s or k0s made: status, check, exec, cert work',
        ],
        ['slipway gen schema', 'the JSON schema of a Clusterfile'],
      ),
    )
    .action(action<[], Flags>(adopt));
  addGlobalFlags(gen.command('schema').description('Print the JSON schema of a Clusterfile, for editors.'))
    .addHelpText(
      'after',
      examples([
        'slipway gen schema >clusterfile.schema.json',
        'then write "# yaml-language-server: $schema=clusterfile.schema.json" at the top of the Clusterfile',
      ]),
    )
    .action(action<[], object>(async ({ out }) => out.verbatim(JSON.stringify(clusterfileJsonSchema(), null, 2))));
}

async function adopt(context: CliContext, flags: Flags): Promise<void> {
  const { masters, nodes, cluster, image, dataRoot, file, force = false } = flags;
  if (masters === undefined) {
    throw new SlipwayError('E_USAGE', 'no hosts are given: --masters is missing', {
      hint: 'slipway gen --masters 10.0.0.2 adopts a cluster; "slipway gen schema" prints the schema of a Clusterfile',
    });
  }
  if (dataRoot !== undefined && !/^\/[\w./-]+$/.test(dataRoot))
    throw new SlipwayError('E_USAGE', `--data-root ${JSON.stringify(dataRoot)} is not an absolute path without blanks`);
  const ssh = await sshFlags(flags);
  // What is wrong with addresses and name is told as "run" does; the image does not matter for that.
  const spec = specFromFlags({ ...ssh, image: image ?? 'unknown', masters, nodes, cluster });
  if (image !== undefined) await pullIfMissing(context, image, undefined);
  const { reporter, signal } = context;
  const concurrency = wholeNumber('--concurrency', flags.concurrency);
  const adopted = await adoptCluster(
    { hosts: spec.hosts, ssh, cluster, image, dataRoot, force, ...(concurrency === undefined ? {} : { concurrency }) },
    { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) },
  );
  for (const warning of adopted.warnings) reporter.warn(warning);
  if (file !== undefined) await writeClusterfile(file, adopted.clusterfile, force);
  print(context, adopted, file);
}

function print({ json, quiet, out, reporter }: CliContext, adopted: Adopted, file: string | undefined): void {
  const { state, from, clusterfile, warnings } = adopted;
  const { id, name, image, version, runtime, hosts } = state;
  if (json) {
    const list = hosts.map(({ address, roles }) => ({ address, roles }));
    out.json({ schema: 1, cluster: name, id, from, image, runtime, version, hosts: list, warnings, clusterfile });
    return;
  }
  const how = {
    copy: 'by what a master had kept of it',
    hosts: 'by what is on its hosts',
    foreign: 'which Slipway did not launch',
  }[from];
  const summary = `Cluster ${name} is known here now, ${how}: ${productName(version)}, ${hosts.length} ${hosts.length === 1 ? 'host' : 'hosts'}.`;
  if (file === undefined) {
    reporter.info(summary);
    out.verbatim(clusterfile.trimEnd());
  } else if (quiet) out.line(file);
  else {
    out.line(summary);
    out.line(`Its Clusterfile is ${file}.`);
  }
}

/** Somebody's own file is not overwritten unasked. */
async function writeClusterfile(file: string, text: string, force: boolean): Promise<void> {
  try {
    await writeFile(file, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw fileSystemError(error, `writing ${file}`);
    throw new SlipwayError('E_USAGE', `${file} is there already; the cluster is known here all the same`, {
      hint: 'give another file, or --force',
    });
  }
}
