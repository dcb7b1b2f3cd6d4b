import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { errnoOf, SlipwayError } from '../base/errors.js';
import { userNamespace } from '../base/user-namespace.js';
import { addGlobalFlags, examples } from './action.js';
import { defaultRoot, type GlobalFlags } from './context.js';
import { reportFailure } from './failure.js';

/** What the terminal sends to everybody: the command decides what it means. */
const WAITED = ['SIGINT', 'SIGQUIT'] as const;
/** What may be sent to this process alone. */
const PASSED = ['SIGTERM', 'SIGHUP'] as const;

/** A shell's exit codes for what cannot be found, and for what cannot be executed. */
const NO_SUCH_PROGRAM = 127;
const NO_PROGRAM = 126;

export function define(program: Command): void {
  addGlobalFlags(program.command('unshare'))
    .description(
      'Run a command, by default your shell, as root of a user namespace with mounts of its own: there "slipway mount" uses overlayfs and shows the owners that images have. What it has mounted goes with it. For root it is just the command.',
    )
    .argument('[command...]', 'a program with its arguments')
    .passThroughOptions()
    .addHelpText(
      'after',
      examples(
        ['slipway unshare', 'a shell'],
        ["slipway unshare sh -c 'ls -ln $(slipway mount k8s:v1)/etc'", 'look into an image without root'],
        ["slipway unshare sh -c 'tar -C $(slipway mount k8s:v1) -c . >rootfs.tar'", 'with all owners'],
      ),
    )
    .action(async (words: readonly string[], _options: unknown, command: Command) => {
      const { root = defaultRoot() } = command.optsWithGlobals<GlobalFlags>();
      process.exitCode = await unshare(words.length > 0 ? words : [process.env.SHELL || 'sh'], root);
    });
}

/** @returns the command's exit code, as a shell would give it. */
async function unshare(command: readonly string[], root: string): Promise<number> {
  const namespace = process.getuid?.() === 0 ? { command: [] } : await userNamespace();
  if ('missing' in namespace) throw namespace.missing;
  const [program = '', ...args] = [...namespace.command, ...command];
  // Root of the namespace would have another default.
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, SLIPWAY_ROOT: root } });
  const wait = (): void => {};
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of WAITED) process.on(signal, wait);
  for (const signal of PASSED) process.on(signal, pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => {
        const code = errnoOf(cause);
        if (code !== 'ENOENT' && code !== 'EACCES') return reject(cause);
        const why = code === 'ENOENT' ? 'there is no such program' : 'it may not be executed';
        reportFailure(new SlipwayError('E_NOT_FOUND', `cannot start ${program}: ${why}`, { cause }), process.argv);
        resolve(code === 'ENOENT' ? NO_SUCH_PROGRAM : NO_PROGRAM);
      });
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
    });
  } finally {
    for (const signal of WAITED) process.off(signal, wait);
    for (const signal of PASSED) process.off(signal, pass);
  }
}
