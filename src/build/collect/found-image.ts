import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import type { Platform } from '../../image/platform.js';
import { parseReference, type Reference } from '../../image/reference.js';

/** Where something asks for an image. */
export interface Place {
  /** Relative to the rootfs; a path of this machine for a list of the command line. */
  readonly file: string;
  /** From 1; undefined where a line means nothing, as in what helm rendered. */
  readonly line?: number | undefined;
  /** `Deployment web, containers[0].image`. */
  readonly what?: string | undefined;
}

/** An image that something asks for. */
export interface FoundImage {
  readonly reference: Reference;
  readonly place: Place;
  /** For these platforms only; for all when it is undefined. */
  readonly platforms?: readonly Platform[] | undefined;
}

/** What a search found, and what a person must be told about it. */
export interface Findings {
  readonly images: FoundImage[];
  /** Each begins with its place. */
  readonly warnings: string[];
}

export function emptyFindings(): Findings {
  return { images: [], warnings: [] };
}

/** `manifests/web.yaml:12`. */
export function formatPlace({ file, line }: Place): string {
  return line === undefined ? file : `${file}:${line}`;
}

/** Parts of a text that a template engine, a shell or `sed` replaces later: the image is not known yet. */
const TEMPLATE = /\{\{|\$\{|\$\(|@[A-Z_a-z]\w*@|<[^>]*>|%[A-Z_]+%|__[A-Z_]+__/;

export function isTemplate(text: string): boolean {
  return TEMPLATE.test(text);
}

/** A name, or why it is none; credentials in it are taken out of the reason. */
export type ReadName =
  | { readonly reference: Reference; readonly problem?: undefined }
  | { readonly reference?: undefined; readonly problem: string };

/** Reads an image name that somebody wrote into a file. */
export function readImageName(text: string): ReadName {
  const credentials = /^[^/@\s]*:([^/@\s]+)@(?!sha(?:256|512):)/.exec(text.replace(/^[a-z]+:\/\//i, ''));
  if (credentials !== null) {
    registerSecret(credentials[1]);
    return { problem: 'an image name with credentials in it: take them out, and use "slipway login"' };
  }
  try {
    return { reference: parseReference(text) };
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    return { problem: messageOf(error) };
  }
}

/** Places of one file, or of one chart: a cluster has a few hundred, and a file made to fill the memory has any number. */
const PLACES_LIMIT = 20_000;

/** Adds an image whose name was found in a file; what is no name, or is not known yet, becomes a warning. */
export function addFound(findings: Findings, text: string, place: Place): void {
  if (findings.images.length + findings.warnings.length >= PLACES_LIMIT)
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${formatPlace(place)}: more than ${PLACES_LIMIT} images in one file or chart`,
      {
        hint: 'take the file out of manifests/ or charts/, and name its images in an image list',
      },
    );
  if (isTemplate(text)) {
    findings.warnings.push(
      `${formatPlace(place)}: the image ${JSON.stringify(text.slice(0, 200))} is made by a template: name it in an image list`,
    );
    return;
  }
  const { reference, problem } = readImageName(text);
  if (reference === undefined) findings.warnings.push(`${formatPlace(place)}: ${problem}`);
  else findings.images.push({ reference, place });
}
