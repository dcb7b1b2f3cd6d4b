import type { Command } from 'commander';
import { counted } from '../base/format.js';
import { deleteApp, leftOnHostsError } from '../install/apps/delete-app.js';
import { action, examples, repeatable } from './action.js';
import { type AppFlags, addAppFlags, appRequest } from './app-flags.js';

interface Flags extends AppFlags {
  readonly force?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('delete-app')
    .description(
      'Take an application that "slipway run-app" installed off its cluster: what it has started, by its delete commands on a master, then its container images and files. Run again after a failure, it goes on. "slipway status" lists what is installed.',
    )
    .argument('<name>', 'by which it was installed')
    .option('-f, --file <file>', 'a Clusterfile whose Application document has delete commands; - reads standard input')
    .option('--cmd <command>', 'a delete command instead of all others; may be given several times', repeatable)
    .option('--force', 'also when delete commands are not known, cannot be run or fail: says what is left');
  addAppFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway delete-app shop', 'from the only cluster of this machine'],
        ['slipway delete-app shop --cmd "kubectl delete namespace shop"', 'when nothing else says how'],
        ['slipway delete-app shop --cluster edge --force', 'whatever becomes of its commands'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, name) => {
        const { cluster, file, env, options, deps } = await appRequest(context, flags);
        const { json, quiet, out } = context;
        const result = await deleteApp(
          cluster,
          {
            ...options,
            name,
            cmds: flags.cmd,
            appConfigs: file?.appConfigs ?? [],
            env,
            force: flags.force === true,
          },
          deps,
        );
        const { left, failures } = result;
        if (json) out.json({ ...result, failures: failures.map(({ code, message }) => ({ code, message })) });
        else if (quiet) out.line(name);
        else {
          if (result.hosts.length === 0)
            out.line(`${name} is off cluster ${cluster}: ${counted(result.ran, 'step')} done.`);
          for (const what of left) out.line(`Left: ${what}`);
        }
        const error = leftOnHostsError(result);
        if (error !== undefined) throw error;
      }),
    );
}
