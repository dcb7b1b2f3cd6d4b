import type { Command, Option } from 'commander';
import { ENVIRONMENT_HEADING } from '../../src/cli/environment.js';
import { helpTexts } from './help-texts.js';
import { code, codeBlock, headingAnchor, prose, table } from './markdown.js';
import { type SharedGroup, sharedGroups } from './shared-groups.js';

/** Where the text of a command begins in the page. */
export const COMMAND_HEADING = '### slipway ';

/**
 * All that the help of a program says, as one page of Markdown: the same commands always make the same text.
 * @param program with all its commands loaded.
 */
export function commandReference(program: Command): string {
  const commands = program.commands.filter(isShown);
  const shared = sharedGroups(commands.flatMap((command) => [command, ...command.commands]));
  const groups = [...new Set(commands.map((command) => command.helpGroup()))];
  const inGroup = (group: string): Command[] => commands.filter((command) => command.helpGroup() === group);
  const sections = [
    '# Commands',
    '<!-- Made from the commands themselves by "npm run docs"; not to be edited. -->',
    `${prose(program.description())} What \`slipway COMMAND --help\` says, on one page. Exit codes and error codes: [errors.md](errors.md).`,
    ...groups.map((group) => `**${title(group)}**\n\n${table(['command', ''], inGroup(group).map(indexRow))}`),
    '## Flags that many commands have',
    ...shared.map((group) => `### ${title(group.heading)}\n\n${flagTable(group.options)}`),
    ...environment(program),
    ...groups.flatMap((group) => [
      `## ${title(group)}`,
      ...inGroup(group).flatMap((command) => [
        section(command, shared),
        ...command.commands.filter(isShown).map((sub) => section(sub, shared)),
      ]),
    ]),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** What the program's own help says of variables, where it does. */
function environment(program: Command): string[] {
  const text = helpTexts(program).others.find((other) => other.startsWith(ENVIRONMENT_HEADING));
  if (text === undefined) return [];
  const [, ...lines] = text.split('\n');
  return [
    `## ${title(ENVIRONMENT_HEADING)}`,
    codeBlock(
      '',
      lines.map((line) => line.trim()),
    ),
  ];
}

/** The command in whose text two pages differ first, as it is called: `registry serve`; undefined when they are the same. */
export function firstDifference(page: string, wanted: string): string | undefined {
  if (page === wanted) return undefined;
  const parts = (text: string): string[] => text.split(COMMAND_HEADING);
  const [have, want] = [parts(page), parts(wanted)];
  const index = want.findIndex((part, at) => part !== have[at]);
  const [differs = ''] = [want[index] ?? have[want.length]];
  const name = differs.split('\n', 1)[0] ?? '';
  return index === 0 ? 'the list of commands, or the flags that many have' : name;
}

function section(command: Command, shared: readonly SharedGroup[]): string {
  const name = fullName(command);
  const groupOf = (option: Option): SharedGroup | undefined =>
    shared.find(({ heading }) => heading === option.helpGroupHeading);
  const options = command.options.filter(({ hidden }) => !hidden);
  const own = options.filter((option) => groupOf(option) === undefined);
  const headings = [...new Set(own.map(({ helpGroupHeading }) => helpGroupHeading))];
  const { examples, others } = helpTexts(command);
  const names = command.aliases().map((alias) => code(`slipway ${alias}`));
  return [
    `${COMMAND_HEADING}${name}`,
    codeBlock('', [`slipway ${name} ${usage(command)}`.trimEnd()]),
    prose(command.description()) + (names.length === 0 ? '' : ` Also called ${names.join(', ')}.`),
    ...(command.commands.length === 0 ? [] : [table(['command', ''], command.commands.filter(isShown).map(indexRow))]),
    ...(command.registeredArguments.length === 0
      ? []
      : [
          table(
            ['argument', ''],
            command.registeredArguments.map((argument) => [
              code(argument.name()),
              prose(argument.description) + choices(argument.argChoices, argument.defaultValue),
            ]),
          ),
        ]),
    ...headings.map((heading) => {
      const flags = flagTable(own.filter(({ helpGroupHeading }) => helpGroupHeading === heading));
      return heading === undefined ? flags : `${title(heading)}:\n\n${flags}`;
    }),
    ...others.map((text) => codeBlock('', text.split('\n'))),
    ...(examples.length === 0
      ? []
      : [
          codeBlock(
            'sh',
            examples.flatMap(({ line, what }) => [`# ${what}`, line]),
          ),
        ]),
    ...sharedLine(options, shared),
  ].join('\n\n');
}

/** `Also SSH options and global options.`, with what this command does not have of them. */
function sharedLine(options: readonly Option[], shared: readonly SharedGroup[]): string[] {
  const links = shared.flatMap(({ heading, options: all }) => {
    const has = options.filter((option) => option.helpGroupHeading === heading).map(({ flags }) => flags);
    if (has.length === 0) return [];
    const lacks = all.filter(({ flags }) => !has.includes(flags)).map(({ long, flags }) => code(long ?? flags));
    const link = `[${title(heading)}](#${headingAnchor(title(heading))})`;
    return lacks.length === 0 ? [link] : [`${link} without ${lacks.join(', ')}`];
  });
  return links.length === 0 ? [] : [`And: ${links.join('; ')}.`];
}

function usage(command: Command): string {
  return command.usage().replace('[options]', '[flags]');
}

function indexRow(command: Command): string[] {
  const name = fullName(command);
  const [first = ''] = command.description().split(/(?<=\.) /, 1);
  const link = `[${name}](#${headingAnchor(`slipway ${name}`)})`;
  return [link, prose(command.summary() || first)];
}

function flagTable(options: readonly Option[]): string {
  return table(
    ['flag', ''],
    options.map(({ flags, description, argChoices, defaultValue }) => [
      code(flags),
      prose(description) + choices(argChoices, defaultValue),
    ]),
  );
}

/** What help puts in parentheses behind a flag. `true` is the default of `--no-…`, and no news. */
function choices(values: readonly string[] | undefined, defaultValue: unknown): string {
  const told = [
    ...(values === undefined ? [] : [`one of ${values.map(code).join(', ')}`]),
    ...(defaultValue === undefined || defaultValue === true ? [] : [`default: ${code(String(defaultValue))}`]),
  ];
  return told.length === 0 ? '' : ` (${told.join('; ')})`;
}

function fullName(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${fullName(parent)} ${command.name()}` : command.name();
}

/** commander's headings end in a colon. */
function title(heading: string): string {
  return heading.replace(/:$/, '');
}

function isShown(command: Command): boolean {
  return !(command as Command & { readonly _hidden?: boolean })._hidden;
}
