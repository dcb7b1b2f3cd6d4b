import { createReadStream, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Command, Option } from 'commander';
import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';
import { lintKubefile } from '../build/lint/lint-kubefile.js';
import { type ClusterImageType, IMAGE_TYPES } from '../image/cluster-image.js';
import { parsePlatform, thisPlatform } from '../image/platform.js';
import { describeProblem, locationOf } from '../kubefile-parser/caret.js';
import { parseKubefileLenient } from '../kubefile-parser/parse.js';
import { type LintReport, lintReport } from '../lint/report.js';
import { RULES, SEVERITIES, type Severity } from '../lint/rules.js';
import { syntaxTree } from '../lint/syntax-tree.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { buildArgs } from './build-args.js';
import type { CliContext } from './context.js';
import { terminalSafe } from './output.js';

interface Flags {
  readonly file?: string;
  /** False with `--no-context`. */
  readonly context: boolean;
  readonly buildArg?: readonly string[];
  readonly platform?: string;
  readonly target?: string;
  readonly type: ClusterImageType;
  readonly format?: 'text' | 'json' | 'github';
  readonly failOn: Severity | 'never';
  readonly strict?: boolean;
  readonly ast?: boolean;
  readonly rules?: boolean;
}

/** A Kubefile to look at. */
interface Source {
  readonly file: string;
  readonly text: Uint8Array;
  readonly context?: string | undefined;
}

export function define(program: Command): void {
  const command = program
    .command('lint')
    .description('Check Kubefiles and what they take from their contexts, without building anything.')
    .argument(
      '[path...]',
      'contexts (with a Kubefile in them), directories of contexts, or Kubefiles (their directory is the context); - is standard input',
    )
    .option('-f, --file <path>', 'the Kubefile of a context')
    .option('--no-context', 'look at the text only, not at the files that COPY takes')
    .option('--build-arg <name=value>', 'a value for an ARG; may be given several times', repeatable)
    .option('--platform <os/arch>', 'what the build would be for (default: this machine)')
    .option('--target <stage>', 'the stage that would be built (default: the last)')
    .addOption(new Option('--type <type>', 'what the image installs').choices(IMAGE_TYPES).default('kube-installer'))
    .addOption(
      new Option('--format <format>', 'how findings are printed; github: annotations of a workflow')
        .choices(['text', 'json', 'github'])
        .default('text'),
    )
    .addOption(
      new Option('--fail-on <severity>', 'the least severity that gives exit code 1')
        .choices([...SEVERITIES, 'never'])
        .default('error'),
    )
    .option('--strict', 'the same as --fail-on warning')
    .option('--ast', 'print the parsed instructions as JSON instead')
    .option('--rules', 'list the rules instead');
  addGlobalFlags(command, { format: false })
    .addHelpText(
      'after',
      examples(
        ['slipway lint', 'the Kubefile in this directory, and the files it names'],
        ['slipway lint --strict examples/* basefs/*', 'several contexts; warnings fail too'],
        [
          'slipway lint -f k8s.kubefile --build-arg VERSION=v1.29.2 basefs/kubernetes',
          'another Kubefile, as it is built',
        ],
        ['slipway lint --format json - <Kubefile', 'only the text, for an editor'],
      ),
    )
    .action(
      action<[readonly string[]], Flags>(async (context, flags, paths) => {
        if (flags.rules) return printRules(context);
        const sources = await readSources(paths, flags);
        if (flags.ast) {
          const trees = sources.map(({ text, file }) => syntaxTree(parseKubefileLenient(text, file)));
          return context.out.json(trees.length === 1 ? trees[0] : trees);
        }
        const request = {
          platform: flags.platform === undefined ? thisPlatform() : parsePlatform(flags.platform),
          buildArgs: buildArgs(flags.buildArg ?? []),
          target: flags.target,
          type: flags.type,
        };
        const results = [];
        for (const source of sources) {
          context.signal.throwIfAborted();
          results.push(await lintKubefile({ ...request, ...source }));
        }
        const report = lintReport(results);
        if (context.json) context.out.json(report);
        else if (flags.format === 'github') printGithub(context, report);
        else printText(context, report, sources);
        if (fails(report, flags.strict ? 'warning' : flags.failOn)) process.exitCode = 1;
      }),
    );
}

async function readSources(paths: readonly string[], flags: Flags): Promise<Source[]> {
  if (flags.file !== undefined) {
    const [dir = '.', second] = paths;
    if (second !== undefined) throw new SlipwayError('E_USAGE', '--file goes with one context');
    if (!(await isDirectory(dir)))
      throw new SlipwayError('E_USAGE', `with --file, ${dir} has to be a context`, { hint: 'give a directory' });
    return [{ file: flags.file, text: await read(flags.file), context: flags.context ? dir : undefined }];
  }
  const sources: Source[] = [];
  for (const path of paths.length === 0 ? ['.'] : paths) {
    if (path === '-') {
      sources.push({ file: '<stdin>', text: await readAll(process.stdin, 'standard input') });
      continue;
    }
    for (const { file, context } of await kubefilesAt(path))
      sources.push({ file, text: await read(file), context: flags.context ? context : undefined });
  }
  return sources;
}

/** The Kubefile that a path means; for a directory without one, those of the directories in it (`examples/`). */
async function kubefilesAt(path: string): Promise<readonly { readonly file: string; readonly context: string }[]> {
  if (!(await isDirectory(path))) return [{ file: path, context: dirname(path) }];
  const own = { file: join(path, 'Kubefile'), context: path };
  if (existsSync(own.file)) return [own];
  const below = (await readdir(path))
    .sort()
    .map((name) => ({ file: join(path, name, 'Kubefile'), context: join(path, name) }));
  const found = below.filter(({ file }) => existsSync(file));
  return found.length === 0 ? [own] : found;
}

/** More than this is no Kubefile. */
const LARGEST = 64 * 1024 * 1024;

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readAll(createReadStream(file), file);
  } catch (cause) {
    if (cause instanceof SlipwayError) throw cause;
    const missing = errnoOf(cause) === 'ENOENT';
    throw new SlipwayError('E_NOT_FOUND', `cannot read ${file}: ${missing ? 'no such file' : messageOf(cause)}`, {
      hint: 'give a directory with a Kubefile in it, or a Kubefile',
      cause,
    });
  }
}

/** It may be a pipe, or a device without an end. */
async function readAll(stream: Readable, what: string): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST)
      throw new SlipwayError('E_USAGE', `${what} is larger than 64 MB`, { hint: 'this is no Kubefile' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

function fails({ summary }: LintReport, from: Severity | 'never'): boolean {
  const { errors, warnings, infos } = summary;
  if (from === 'never') return false;
  return errors + (from === 'error' ? 0 : warnings) + (from === 'info' ? infos : 0) > 0;
}

function printText({ out, quiet }: CliContext, report: LintReport, sources: readonly Source[]): void {
  const lines = new Map<string, readonly string[]>();
  for (const { file, text } of quiet ? [] : sources)
    lines.set(file, parseKubefileLenient(text, file).kubefile.text.split('\n'));
  for (const { rule, severity, file, line, column, message, help } of report.findings) {
    const title = `${severity}: ${message} [${rule}]`;
    out.line(
      terminalSafe(
        quiet
          ? `${locationOf(file, { line, column })}: ${title}`
          : `${describeProblem(lines.get(file) ?? [], { file, line, column, message: title, hint: help })}\n`,
      ),
    );
  }
  if (quiet) return;
  const { errors, warnings, infos, suppressed } = report.summary;
  const counts = [`${errors} error${errors === 1 ? '' : 's'}`, `${warnings} warning${warnings === 1 ? '' : 's'}`];
  if (infos > 0) counts.push(`${infos} note${infos === 1 ? '' : 's'}`);
  if (suppressed > 0) counts.push(`${suppressed} suppressed`);
  out.line(`${report.files.length === 1 ? report.files[0] : `${report.files.length} files`}: ${counts.join(', ')}`);
}

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions: annotations in the review of a change. */
function printGithub({ out }: CliContext, { findings }: LintReport): void {
  const data = (text: string): string => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  const property = (text: string): string => data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
  for (const { rule, severity, file, line, column, message, help } of findings)
    out.line(
      `::${severity === 'info' ? 'notice' : severity} file=${property(file)},line=${line},col=${column},title=${property(rule)}::${data(`${message}\n${help}`)}`,
    );
}

function printRules({ out, json, quiet }: CliContext): void {
  const rules = Object.entries(RULES).map(([rule, { severity, summary }]) => ({ rule, severity, summary }));
  if (json) out.json(rules);
  else if (quiet) for (const { rule } of rules) out.line(rule);
  else out.table([['RULE', 'SEVERITY', 'MEANING'], ...rules.map((row) => [row.rule, row.severity, row.summary])]);
}
