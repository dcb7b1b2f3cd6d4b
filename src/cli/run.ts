import type { Command } from 'commander';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { isDigest } from '../image/digest.js';
import { type Platform, parsePlatform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';
import { leftOutError, planCluster, runCluster } from '../install/run-cluster.js';
import { specFromFlags } from '../install/spec-from-flags.js';
import { findImage } from '../store/local-image.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import type { CliContext } from './context.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags {
  readonly masters: string;
  readonly nodes?: string;
  readonly env?: readonly string[];
  readonly cmd?: readonly string[];
  readonly app?: readonly string[];
  readonly cluster?: string;
  readonly dryRun?: boolean;
  readonly fromScratch?: boolean;
  readonly platform?: string;
  readonly concurrency?: string;
  readonly concurrentUploads?: string;
  readonly readyTimeout?: string;
}

export function define(program: Command): void {
  const command = program
    .command('run')
    .description(
      'Launch a cluster from an image of the store, on bare hosts over SSH. Run again after a failure, it goes on; on a finished cluster it finds everything done.',
    )
    .argument('<image>', 'a name, or the beginning of an id')
    .requiredOption('--masters <ips>', 'control-plane hosts: 10.0.0.2,10.0.0.3 or 10.0.0.2-10.0.0.4')
    .option('--nodes <ips>', 'worker hosts, in the same form')
    .option('-e, --env <name=value>', 'a variable for scripts and templates; may be given several times', repeatable)
    .option('--cmd <command>', "a launch command instead of the image's; may be given several times", repeatable)
    .option(
      '--app <name>',
      'an application to start instead of those that the image starts; may be given several times',
      repeatable,
    )
    .option('--cluster <name>', 'the name of the cluster')
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them')
    .option('--from-scratch', 'forget what earlier runs did; what the hosts say counts all the same')
    .option('--platform <os/arch>', 'which image of a multi-platform one')
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)')
    .option('--concurrent-uploads <n>', 'hosts that receive files at once (default: 5)')
    .option('--ready-timeout <seconds>', 'how long nodes may take to become Ready (default: 300)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        [
          'slipway run k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3,10.0.0.4 -i ~/.ssh/id_ed25519',
          'one master and two workers, as root with a key',
        ],
        ['slipway run k8s:v1 --masters 10.0.0.2 -u admin -p', 'asks for the password; admin uses sudo'],
        ['slipway run k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3 --dry-run', 'what would be done'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, image) => {
        const { reporter, signal, out } = context;
        const spec = specFromFlags({
          ...(await sshFlags(flags)),
          image,
          masters: flags.masters,
          nodes: flags.nodes,
          ...(flags.env === undefined ? {} : { env: flags.env }),
          ...(flags.cmd === undefined ? {} : { cmds: flags.cmd }),
          ...(flags.app === undefined ? {} : { apps: flags.app }),
          cluster: flags.cluster,
        });
        const readyTimeout = number('--ready-timeout', flags.readyTimeout);
        const concurrency = number('--concurrency', flags.concurrency);
        const concurrentUploads = number('--concurrent-uploads', flags.concurrentUploads);
        const options = {
          ...(concurrency === undefined ? {} : { concurrency }),
          ...(concurrentUploads === undefined ? {} : { concurrentUploads }),
          ...(readyTimeout === undefined ? {} : { readyTimeoutMs: readyTimeout * 1000 }),
          ...(flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) }),
          fromScratch: flags.fromScratch === true,
          again: 'the same command',
        };
        const deps = { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) };
        await pullIfMissing(context, image, options.platform);
        if (flags.dryRun) {
          const { document, text } = await planCluster(spec, options, deps);
          if (context.json) out.json(document);
          else out.line(text.trimEnd());
          // A script that asks whether a launch could begin gets its answer.
          if (document.problems.length > 0) process.exitCode = 1;
          return;
        }
        const result = await runCluster(spec, options, deps);
        const { cluster, version, kubeconfig, nodes, ran, skipped } = result;
        if (context.json)
          out.json({
            cluster,
            version,
            kubeconfig,
            nodes,
            ran,
            skipped,
            failures: result.failures.map(({ code, message }) => ({ code, message })),
          });
        else if (context.quiet) out.line(kubeconfig);
        else {
          out.table([
            ['NODE', 'ADDRESS', 'ROLE', 'VERSION', 'STATUS'],
            ...nodes.map((node) => [
              node.name,
              node.addresses[0] ?? '',
              node.controlPlane ? 'control-plane' : 'worker',
              node.version,
              node.ready ? 'Ready' : 'NotReady',
            ]),
          ]);
          out.line();
          out.line(
            `Cluster ${cluster} is up (Kubernetes ${version}): ${ran} steps done, ${skipped} were done already.`,
          );
          out.line(`  export KUBECONFIG=${kubeconfig}`);
        }
        const leftOut = leftOutError(result, spec.hosts.length);
        if (leftOut !== undefined) throw leftOut;
      }),
    );
}

/** As docker does: an image that is not here is asked for at its registry. A site without internet has it here before. */
async function pullIfMissing(context: CliContext, image: string, platform: Platform | undefined): Promise<void> {
  const store = await context.store();
  try {
    await findImage(store, image);
  } catch (error) {
    if (!isSlipwayError(error, 'E_NOT_FOUND') || isDigest(image)) throw error;
    const { host } = parseReference(image);
    // A name without a host is Docker Hub's, where nobody keeps the image that was misspelt.
    if (host === undefined) throw error;
    context.reporter.info(`${image} is not in the store: pulling it`);
    const [{ pullImage }, { registryOptions }] = await Promise.all([
      import('../registry/pull.js'),
      import('./registry-flags.js'),
    ]);
    await pullImage(store, image, { ...(await registryOptions(context, {})), platform });
  }
}

function number(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new SlipwayError('E_USAGE', `${flag} ${text} is not a positive number`);
  return Number(text);
}
