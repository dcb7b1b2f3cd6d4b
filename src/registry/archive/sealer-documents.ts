import { parseDocument } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import { zodProblems } from '../../base/zod-error.js';
import { metadataLabels, writeClusterImage } from '../../image/cluster-image.js';
import { type Digest, hexOf, isDigest } from '../../image/digest.js';
import type { Metadata } from '../../image/metadata.js';
import type { History, ImageConfig } from '../../image/oci.js';
import { normalizePlatform, type Platform } from '../../image/platform.js';

/** Go writes `null`, an empty text or nothing where there is nothing. */
const optional = <T extends z.ZodType>(schema: T) =>
  z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional());

const platformSchema = z.looseObject({
  architecture: optional(z.string()),
  os: optional(z.string()),
  variant: optional(z.string()),
});
const texts = optional(z.array(z.string()));
const textMap = optional(z.record(z.string(), z.string()));

/** sealer 0.8's `Metadata` at the top of an archive: what names stand for. */
const namesSchema = z.record(
  z.string(),
  z.looseObject({
    manifests: optional(
      z.array(
        z.looseObject({
          id: z.string().regex(/^[\w.-]+$/),
          created: optional(z.string()),
          platform: optional(platformSchema),
        }),
      ),
    ),
  }),
);
/** A name and its images, one for each platform. */
export type SealerNames = z.infer<typeof namesSchema>;

/** sealer 0.8's `kind: Image`, types/api/v1. */
const imageSchema = z.looseObject({
  kind: z.literal('Image'),
  spec: z.looseObject({
    layers: optional(
      z.array(z.looseObject({ id: optional(z.string()), type: optional(z.string()), value: optional(z.string()) })),
    ),
    platform: optional(platformSchema),
    image_config: optional(
      z.looseObject({
        image_type: optional(z.string()),
        cmd: optional(z.looseObject({ parent: texts, current: texts })),
        args: optional(z.looseObject({ parent: textMap, current: textMap })),
        labels: textMap,
      }),
    ),
  }),
});
export type SealerImage = z.infer<typeof imageSchema>['spec'];

/** @throws SlipwayError E_BAD_ARCHIVE */
export function parseSealerNames(bytes: Buffer, what: string): SealerNames {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${what} is not valid JSON`, { cause });
  }
  return checked(namesSchema, value, what);
}

/** @throws SlipwayError E_BAD_ARCHIVE */
export function parseSealerImage(bytes: Buffer, what: string): SealerImage {
  const document = parseDocument(bytes.toString('utf8'));
  const [mistake] = document.errors;
  if (mistake !== undefined)
    throw new SlipwayError('E_BAD_ARCHIVE', `${what} is not valid YAML: ${mistake.message.split('\n', 1)[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${what} has too many aliases`, { cause });
  }
  return checked(imageSchema, value, what).spec;
}

/** The layers of an image that have content, in their order. @throws SlipwayError E_BAD_ARCHIVE */
export function sealerLayers({ layers = [] }: SealerImage, what: string): readonly string[] {
  return layers.flatMap(({ id }) => {
    if (id === undefined) return [];
    if (isDigest(id)) return [hexOf(id)];
    throw new SlipwayError('E_BAD_ARCHIVE', `${what}: ${JSON.stringify(id.slice(0, 100))} is no layer`);
  });
}

export function sealerPlatform({ platform }: SealerImage): Platform {
  const { os = 'linux', architecture = 'amd64', variant } = platform ?? {};
  return normalizePlatform({ os, architecture, variant });
}

/** What the image is in OCI's words. */
export interface ConvertedImage {
  readonly config: ImageConfig;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * @param diffIds of the layers that have content.
 * @param metadata of the rootfs, when it has one that can be read.
 */
export function convertSealerImage(
  image: SealerImage,
  diffIds: readonly Digest[],
  { created, metadata }: { readonly created?: string | undefined; readonly metadata: Metadata | undefined },
): ConvertedImage {
  const { image_type: type, cmd, args, labels: own = {} } = image.image_config ?? {};
  const isApplication = type === 'application';
  // sealer runs the commands of the base before its own, each once; an application has only its own
  const cmds = [...new Set([...(isApplication ? [] : (cmd?.parent ?? [])), ...(cmd?.current ?? [])])];
  const env = { ...(isApplication ? {} : args?.parent), ...args?.current };
  const labels = { ...(metadata === undefined || isApplication ? {} : metadataLabels(metadata)), ...own };
  const platform = sealerPlatform(image);
  const history: History[] = (image.layers ?? []).map(({ id, type: word = '', value = '' }) => ({
    created_by: `${word} ${value}`.trim(),
    ...(id === undefined ? { empty_layer: true } : {}),
  }));
  return {
    config: {
      ...(created === undefined ? {} : { created }),
      architecture: platform.architecture,
      os: platform.os,
      ...(platform.variant === undefined ? {} : { variant: platform.variant }),
      config: Object.keys(labels).length === 0 ? {} : { Labels: labels },
      rootfs: { type: 'layers', diff_ids: [...diffIds] },
      history,
    },
    annotations: writeClusterImage({
      extension: {
        schemaVersion: 'v1alpha1',
        type: isApplication ? 'app-installer' : 'kube-installer',
        applications: [],
        labels,
        env,
        launch: { cmds, app_names: [] },
      },
      containerImages: [],
    }),
  };
}

function checked<T extends z.ZodType>(schema: T, value: unknown, what: string): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SlipwayError('E_BAD_ARCHIVE', `${what}: ${zodProblems(parsed.error)}`);
}
