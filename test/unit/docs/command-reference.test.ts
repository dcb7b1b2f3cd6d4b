// The page of all commands is made from the commands: whatever their help says is in it, once, and always the same.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { commandReference, firstDifference } from '../../../scripts/command-reference/reference.js';
import { addGlobalFlags, examples } from '../../../src/cli/action.js';
import { COMMANDS } from '../../../src/cli/commands.js';
import { environmentHelp } from '../../../src/cli/environment.js';
import { createFullProgram } from '../../../src/cli/full-program.js';

/** A program of two commands, one of them with commands of its own. */
function smallProgram(): Command {
  const program = new Command('slipway').description('Ships.');
  const paint = program.command('paint').alias('colour').summary('colour a ship').helpGroup('Work:');
  addGlobalFlags(paint)
    .description('Paint a ship. Twice.')
    .addArgument(new Argument('<ship>', 'which one_two').choices(['tug', 'liner']))
    .option('--coat <a|b>', 'of what, *not* <water>', 'tar')
    .option('--no-wash', 'dirt stays')
    .addOption(new Option('--secret').hideHelp())
    .addHelpText('after', '\nColours:\n  red\n')
    .addHelpText('after', examples(['slipway paint tug --coat a', 'the small one']));
  const dock = program.command('dock').description('Docks.').usage('COMMAND [flags]').helpGroup('Places:');
  addGlobalFlags(dock.command('list'), { format: false }).description('List docks. All of them.');
  program.command('ghost', { hidden: true }).helpGroup('Places:');
  return program;
}

const section = (page: string, name: string): string => {
  const [, rest = ''] = page.split(`### slipway ${name}\n\n`);
  return rest.split(/\n\n##/)[0] ?? '';
};

describe('the reference of commands', () => {
  it('says of a command what its help says', () => {
    expect(section(commandReference(smallProgram()), 'paint')).toBe(
      [
        '```\nslipway paint [flags] <ship>\n```',
        'Paint a ship. Twice. Also called `slipway colour`.',
        '| argument |  |\n|---|---|\n| `ship` | which one_two (one of `tug`, `liner`) |',
        '| flag |  |\n|---|---|\n| `--coat <a\\|b>` | of what, \\*not\\* \\<water\\> (default: `tar`) |\n| `--no-wash` | dirt stays |',
        '```\nColours:\n  red\n```',
        '```sh\n# the small one\nslipway paint tug --coat a\n```',
        'And: [Global options](#global-options).',
      ].join('\n\n'),
    );
  });

  it('lists commands in their groups, with those of groups, and none that is hidden', () => {
    const page = commandReference(smallProgram());
    expect(page).toContain('**Work**\n\n| command |  |\n|---|---|\n| [paint](#slipway-paint) | colour a ship |');
    expect(section(page, 'dock')).toContain('| [dock list](#slipway-dock-list) | List docks. |');
    expect(section(page, 'dock list')).toContain('[Global options](#global-options) without `--format`.');
    expect(page).not.toContain('ghost');
    expect(page).not.toContain('--secret');
  });

  it('describes flags that many commands have once', () => {
    const page = commandReference(smallProgram());
    expect(page.match(/`--root <dir>`/g)).toHaveLength(1);
    expect(page.indexOf('`--root <dir>`')).toBeLessThan(page.indexOf('### slipway paint'));
  });

  it('takes no flag of a group that two commands describe differently', () => {
    const program = smallProgram();
    const option = new Option('--root <dir>', 'something else').helpGroup('Global options:');
    program.command('odd').helpGroup('Work:').addOption(option);
    expect(() => commandReference(program)).toThrow(
      '--root <dir> of "Global options:" is described differently in odd',
    );
  });

  it('names the first command whose text differs', () => {
    const page = commandReference(smallProgram());
    expect(firstDifference(page, page)).toBeUndefined();
    expect(firstDifference(page.replace('List docks. All', 'List docks. None'), page)).toBe('dock list');
    expect(firstDifference(page.replace('dirt stays', 'clean'), page)).toBe('paint');
    expect(firstDifference(page.replace('Ships.', 'Boats.'), page)).toMatch(/^the list of commands/);
    expect(firstDifference(`${page}\n### slipway gone\n`, page)).toBe('dock list');
    expect(firstDifference('', page)).toMatch(/^the list of commands/);
  });
});

describe('the help of the program', () => {
  it('names variables that are looked at, and the page has them too', () => {
    const text = environmentHelp();
    const names = [...text.matchAll(/\b[A-Za-z]+_[A-Za-z_]+\b|\bTMPDIR\b/g)].map(([name]) => name);
    expect(names).toEqual(expect.arrayContaining(['SLIPWAY_ROOT', 'NO_COLOR', 'no_proxy']));
    const sources = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'cli/environment.ts')
      .map((file) => readFileSync(join('src', file), 'utf8'))
      .join('\n');
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(sources))).toEqual([]);
    const page = commandReference(smallProgram().addHelpText('after', text));
    expect(page).toContain('## Environment\n\n```\nSLIPWAY_ROOT ');
    expect(commandReference(smallProgram())).not.toContain('## Environment');
  });
});

describe('the help of every command', () => {
  it('has a description, of each argument and flag too, and an example', async () => {
    const program = await createFullProgram(COMMANDS);
    const page = commandReference(program);
    const lacking = program.commands
      .flatMap((command) => [command, ...command.commands])
      .flatMap((command) => {
        const name = command.parent === program ? command.name() : `${command.parent?.name()} ${command.name()}`;
        const flags = command.options.filter(({ hidden, description }) => !hidden && description === '');
        const args = command.registeredArguments.filter(({ description }) => description === '');
        return [
          ...(/^[A-Z].*\.$/s.test(command.description()) ? [] : [`${name}: no sentence that describes it`]),
          ...[...flags.map((flag) => flag.flags), ...args.map((arg) => arg.name())].map((what) => `${name}: ${what}`),
          // The fast way to the version loads nothing that could hold one.
          ...(name === 'version' || section(page, name).includes('```sh\n# ') ? [] : [`${name}: no example`]),
        ];
      });
    expect(lacking).toEqual([]);
  });
});
