import type { Command } from 'commander';
import { VERSION } from '../base/version.js';

/**
 * `slipway version`: handled before anything else is loaded.
 * @returns false when the arguments ask for something else (help), and nothing was printed.
 */
export function printVersion(args: readonly string[]): boolean {
  const allowed = [
    'version',
    '--version',
    '-V',
    '-q',
    '--quiet',
    '--json',
    '--format',
    'json',
    'text',
    '--format=json',
    '--format=text',
  ];
  if (!args.every((arg) => allowed.includes(arg))) return false;
  const version = VERSION;
  if (args.includes('-q') || args.includes('--quiet')) process.stdout.write(`${version}\n`);
  else if (args.includes('json') || args.includes('--json') || args.includes('--format=json')) {
    process.stdout.write(
      `${JSON.stringify({ version, node: process.versions.node, platform: `${process.platform}/${process.arch}` })}\n`,
    );
  } else
    process.stdout.write(`slipway ${version} (node ${process.versions.node}, ${process.platform}/${process.arch})\n`);
  return true;
}

export function define(program: Command): void {
  program
    .command('version')
    .description('Print the version of Slipway and of Node.js, and the platform.')
    .option('-q, --quiet', 'only the version number')
    .option('--format <format>', 'how it is printed: text or json')
    .option('--json', 'the same as --format json')
    .action(() => {
      printVersion(['version']);
    });
}
