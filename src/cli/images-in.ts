import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import { formatPlace } from '../build/collect/found-image.js';
import { LOCK_FILE } from '../build/collect/image-lock.js';
import { matchingImages, type Survey, type SurveyedImage, type SurveyedPlace } from '../build/collect/survey.js';
import { formatPlatform, type Platform, parsePlatform, thisPlatform } from '../image/platform.js';
import { parseKubefile } from '../kubefile-parser/parse.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { buildArgs } from './build-args.js';
import type { CliContext } from './context.js';
import { addImageFlags, type ImageFlags, imageCollection } from './image-flags.js';
import { printable } from './output.js';
import { addConnectionFlags, addCredentialFlags, type RegistryFlags, registryOptions } from './registry-flags.js';

interface Flags extends RegistryFlags, ImageFlags {
  readonly file?: string;
  readonly buildArg?: readonly string[];
  readonly buildMode: 'all' | 'lite';
  readonly target?: string;
  readonly platform?: string;
  readonly why?: string;
  readonly format?: 'table' | 'list' | 'json';
}

/** What was looked at, and what was found. */
interface Looked extends Survey {
  readonly of: 'context' | 'image';
  readonly name: string;
  readonly platform: Platform;
}

export function define(program: Command): void {
  const command = program
    .command('images-in')
    .description(
      'Show the container images that a build context or an image asks for, with the file and line that asks, and what an image carries of them. Nothing is built, run or downloaded.',
    )
    .argument('<context|image>', 'a directory with a Kubefile, or an image of the store')
    .option('--why <image>', 'every place that asks for an image; part of its name is enough')
    .addOption(new Option('--format <format>', 'how results are printed').choices(['table', 'list', 'json']))
    .option('--platform <os/arch>', 'what the image is for (default: this machine)')
    .option('-f, --file <path>', 'the Kubefile (default: Kubefile in the context)')
    .option('--build-arg <name=value>', 'a value for an ARG; may be given several times', repeatable)
    .option('--target <stage>', 'stop after this stage')
    .addOption(
      new Option('--build-mode <mode>', 'lite looks only where BASE says so').choices(['all', 'lite']).default('all'),
    );
  addGlobalFlags(addCredentialFlags(addConnectionFlags(addImageFlags(command))), { format: false })
    .addHelpText(
      'after',
      examples(
        ['slipway images-in .', 'what a build of this directory would carry'],
        ['slipway images-in basefs/kubernetes --why pause', 'who asks for it'],
        ['slipway images-in --format list . > imageList', 'the names alone'],
        ['slipway images-in --lock update .', `write ${LOCK_FILE}: what the names stand for at their registries today`],
        ['slipway images-in k8s:v1', 'what an image asks for, and what is missing in its registry/'],
      ),
    )
    .action(
      action<[string], Flags>(async (context, flags, name) => {
        const looked = await look(context, flags, name);
        if (flags.why === undefined) print(context, flags, looked);
        else printWhy(context, flags, flags.why, looked);
      }),
    );
}

async function look(context: CliContext, flags: Flags, name: string): Promise<Looked> {
  const store = await context.store();
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
  const directory = await stat(name).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (directory && (/^[./]/.test(name) || (await store.resolve(name)) === undefined)) {
    const { surveyContext } = await import('../build/collect/survey-context.js');
    const { readKubefile } = await import('../build/read-kubefile.js');
    const { file, bytes } = await readKubefile(name, flags.file);
    const survey = await surveyContext(store, {
      context: name,
      kubefile: parseKubefile(bytes, file),
      platform: platform ?? thisPlatform(),
      buildArgs: buildArgs(flags.buildArg ?? []),
      target: flags.target,
      mode: flags.buildMode,
      images: imageCollection(flags),
      lock: flags.lock,
      registry: await registryOptions(context, flags),
      reporter: context.reporter,
      signal: context.signal,
    });
    return { of: 'context', name, platform: platform ?? thisPlatform(), ...survey };
  }
  if (flags.lock === 'update')
    throw new SlipwayError('E_USAGE', `--lock update needs a build context, and ${name} is no directory`, {
      hint: 'an image is what it is; name the directory that it is built from',
    });
  const { readImage } = await import('../store/local-image.js');
  const { surveyImage } = await import('../build/collect/survey-image.js');
  const image = await readImage(store, name, platform);
  const survey = await store.use(() => surveyImage(store, image, imageCollection(flags), context.signal));
  return { of: 'image', name: image.name, platform: image.platform, ...survey };
}

function print({ out, json, quiet, reporter }: CliContext, flags: Flags, looked: Looked): void {
  const { images, left, warnings } = looked;
  if (json || flags.format === 'json') {
    out.json(toJson(looked));
    return;
  }
  for (const warning of warnings) reporter.warn(warning);
  if (quiet || flags.format === 'list') {
    for (const { name } of images) out.line(printable(name));
    return;
  }
  const ofImage = looked.of === 'image';
  const locked = images.some((image) => image.locked !== undefined);
  const carried = ofImage || images.some((image) => image.carried);
  const row = (image: SurveyedImage): string[] => [
    image.name,
    ...(carried ? [ofImage ? (image.carried ? 'yes' : 'MISSING') : image.carried ? 'yes' : 'no'] : []),
    ...(locked ? [image.locked?.slice(0, 19) ?? 'no'] : []),
    askedBy(image),
  ];
  const heading = [
    'IMAGE',
    ...(carried ? [ofImage ? 'IN REGISTRY' : 'IN BASE'] : []),
    ...(locked ? ['LOCKED'] : []),
    'ASKED FOR BY',
  ];
  if (images.length > 0) out.table([heading, ...images.map(row)]);
  for (const { name, why } of left) reporter.info(`left out: ${name}, ${why}`);
  if (images.length === 0) reporter.info(`nothing in ${looked.name} asks for a container image`);
  const missing = images.filter(({ carried }) => !carried);
  if (ofImage && missing.length > 0)
    reporter.warn(
      `${missing.length} of ${images.length} images are missing in registry/: the cluster would look for them elsewhere`,
    );
}

function askedBy({ places }: SurveyedImage): string {
  const [first, ...more] = places;
  if (first === undefined) return 'nothing';
  return `${formatPlace(inContext(first))}${more.length === 0 ? '' : ` (+${more.length} more)`}`;
}

function printWhy({ out, json, reporter }: CliContext, flags: Flags, text: string, looked: Looked): void {
  const found = matchingImages(looked.images, text);
  if (found.length === 0) {
    const names = looked.images.map(({ name }) => name);
    const near = suggest(text, names);
    const left = looked.left.find(({ name }) => name.includes(text));
    throw new SlipwayError('E_NOT_FOUND', `nothing in ${looked.name} asks for ${text}`, {
      hint:
        left !== undefined
          ? `${left.name} is left out: ${left.why}`
          : near === undefined
            ? `"slipway images-in ${looked.name}" lists what it asks for`
            : `did you mean ${near}?`,
    });
  }
  if (json || flags.format === 'json') {
    out.json(toJson({ ...looked, images: found }));
    return;
  }
  for (const warning of looked.warnings) reporter.warn(warning);
  for (const [index, { name, places, carried }] of found.entries()) {
    if (index > 0) out.line();
    const missing = looked.of === 'image' && !carried ? '  (missing in registry/)' : '';
    out.line(`${printable(name)}${missing}`);
    if (places.length === 0) out.line('  nothing asks for it');
    out.table(places.map((place) => ['', shown(place), place.what ?? '']));
  }
}

/** `imageList:2 (manifests/imageList in the image)`: where a person would change it, and where it will be. */
function shown(place: SurveyedPlace): string {
  return `${formatPlace(inContext(place))}${place.origin === undefined ? '' : ` (${place.file} in the image)`}`;
}

function inContext(place: SurveyedPlace): SurveyedPlace {
  return place.origin === undefined ? place : { ...place, file: place.origin };
}

function toJson({ of, name, platform, images, left, warnings }: Looked): unknown {
  return {
    [of]: name,
    platform: formatPlatform(platform),
    images: images.map(({ name: image, carried, locked, places }) => ({
      image,
      carried,
      locked: locked ?? null,
      places,
    })),
    left: left.map(({ name: image, why }) => ({ image, why })),
    warnings,
  };
}
