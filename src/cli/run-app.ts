import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { counted } from '../base/format.js';
import { parsePlatform } from '../image/platform.js';
import { planApp, type RunAppResult, runApp } from '../install/apps/run-app.js';
import { action, examples, repeatable } from './action.js';
import { type AppFlags, addAppFlags, appRequest } from './app-flags.js';
import type { CliContext } from './context.js';
import { pullIfMissing } from './launch-flags.js';
import { stepsDone } from './run-result.js';

interface Flags extends AppFlags {
  readonly name?: string;
  readonly apps?: readonly string[];
  readonly platform?: string;
  readonly dryRun?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('run-app')
    .description(
      'Install an application image (build --type app-installer) on a cluster that is up: its container images go to the registry of the cluster, its files to a master, where its launch commands are run. Run again after a failure, it goes on; run again with another image or other settings, it changes what is there; else it finds nothing to do.',
    )
    .argument('<image>', 'a name, or the beginning of an id')
    .option('--name <name>', 'by which it is installed (default: the last part of its repository)')
    .option('-f, --file <file>', 'a Clusterfile with a document of the kind Application; - reads standard input')
    .option('--cmd <command>', "a launch command instead of the image's; may be given several times", repeatable)
    .option(
      '--apps <names>',
      'applications to start instead of those that the image starts: web,db; may be given several times',
      repeatable,
    )
    .option('--platform <os/arch>', 'which image of a multi-platform one (default: this machine)')
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them');
  addAppFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway run-app shop:v1', 'on the only cluster of this machine, by the name shop'],
        ['slipway run-app shop:v1 --cluster edge --apps web -e REPLICAS=3', 'only one of its applications'],
        ['slipway run-app shop:v2 -f Clusterfile', 'another version, configured by an Application document'],
        ['slipway run-app shop:v2 --dry-run', 'what would be done'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, image) => {
        const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
        const { cluster, file, env, options, deps } = await appRequest(context, flags);
        await pullIfMissing(context, image, platform);
        const spec = {
          name: flags.name ?? file?.name,
          image,
          cmds: flags.cmd ?? file?.cmds,
          apps: flags.apps === undefined ? file?.apps : namesOf(flags.apps),
          appConfigs: file?.appConfigs ?? [],
          env,
        };
        const how = { ...options, ...(platform === undefined ? {} : { platform }) };
        if (flags.dryRun) {
          const { document, text } = await planApp(cluster, spec, how, deps);
          if (context.json) context.out.json(document);
          else context.out.line(text.trimEnd());
          if (document.problems.length > 0) process.exitCode = 1;
          return;
        }
        printResult(context, await runApp(cluster, spec, how, deps));
      }),
    );
}

function namesOf(lists: readonly string[]): readonly string[] {
  return lists.flatMap((list) => list.split(',')).flatMap((name) => name.trim() || []);
}

function printResult({ json, quiet, out }: CliContext, result: RunAppResult): void {
  const { cluster, name, image, applications, ran, skipped, failures } = result;
  if (json) out.json({ ...result, failures: failures.map(({ code, message }) => ({ code, message })) });
  else if (quiet) out.line(name);
  else {
    const started = applications.length === 0 ? '' : ` (${applications.join(', ')})`;
    out.line(`${name} is on cluster ${cluster}, from ${image.name}${started}: ${stepsDone(ran, skipped)}.`);
  }
  const [first] = failures;
  if (first === undefined) return;
  const lines = failures.map(({ message }) => `  ${message.replaceAll('\n', '\n  ')}`);
  throw new SlipwayError(
    first.code,
    `${name} is on cluster ${cluster}, but ${counted(failures.length, 'host')} ${failures.length === 1 ? 'was' : 'were'} left out:\n${lines.join('\n')}`,
    { ...(first.hint === undefined ? {} : { hint: first.hint }), cause: first },
  );
}
