import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { appCommands, applicationDir, oneCommand, startCommands } from './applications.js';
import { clusterRuntimeOf, type Metadata } from './metadata.js';
import type { Manifest } from './oci.js';

/** Manifest annotations that make an OCI image a ClusterImage; sealer's names, so both tools read each other's images. */
export const EXTENSION_ANNOTATION = 'sealer.image.extension';
export const CONTAINER_IMAGES_ANNOTATION = 'sealer.image.container.images';

/** Labels derived from Metadata; sealer's names. */
export const LABELS = {
  runtimeType: 'cluster.alpha.sealer.io/cluster-runtime-type',
  runtimeVersion: 'cluster.alpha.sealer.io/cluster-runtime-version',
  containerRuntimeType: 'cluster.alpha.sealer.io/container-runtime-type',
  containerRuntimeVersion: 'cluster.alpha.sealer.io/container-runtime-version',
} as const;

export const IMAGE_TYPES = ['kube-installer', 'app-installer'] as const;
export type ClusterImageType = (typeof IMAGE_TYPES)[number];

const textMap = z.preprocess((value) => value ?? {}, z.record(z.string(), z.string()));
const textList = z.preprocess((value) => value ?? [], z.array(z.string()));

const text = z.preprocess((value) => value ?? undefined, z.string().optional());
const optionalList = z.preprocess((value) => value ?? undefined, z.array(z.string()).optional());

const applicationSchema = z.looseObject({
  name: z.string(),
  /** helm, kube or shell; nothing when it is none of them, and then it has commands. */
  type: text,
  /** What its type starts, relative to its directory; of a chart, the name of the application. */
  files: optionalList,
  /** Of this description: `v1`. */
  version: text,
  /** For its commands and the templates in its directory. */
  env: z.preprocess((value) => value ?? undefined, z.record(z.string(), z.string()).optional()),
  /** What starts it instead of what its type does, in this order, in its directory. */
  cmds: optionalList,
  /** In the image only: the commands one by one, where sealer's `cmds` has to hold one line. */
  commands: optionalList,
});
/** An application that a ClusterImage carries; sealer's v1 application. */
export type Application = z.infer<typeof applicationSchema>;

/** sealer's ImageExtension (v1alpha1). Go writes null for empty lists, or leaves them out; all are read. */
const extensionSchema = z.looseObject({
  schemaVersion: z.string(),
  type: z.preprocess((value) => value || 'kube-installer', z.string()),
  applications: z.preprocess((value) => value ?? [], z.array(applicationSchema)),
  labels: textMap,
  env: textMap,
  launch: z.preprocess(
    (value) => value ?? {},
    z.looseObject({
      /** Run first. */
      cmds: textList,
      /** Applications that are started then. */
      app_names: textList,
      /** In the image only: the commands without those that start applications, where sealer's `cmds` has to hold both. */
      commands: optionalList,
    }),
  ),
  buildClient: z.looseObject({}).nullish(),
});
export type ClusterImageExtension = z.infer<typeof extensionSchema>;

const containerImageSchema = z.looseObject({
  image: z.string(),
  appName: z.string().optional(),
  platform: z
    .looseObject({ os: z.string().optional(), architecture: z.string().optional(), variant: z.string().optional() })
    .nullish(),
});
/** A container image that the cluster image carries in `registry/`. */
export type ContainerImage = z.infer<typeof containerImageSchema>;

/** What a ClusterImage's manifest says beyond OCI. */
export interface ClusterImageInfo {
  readonly extension: ClusterImageExtension;
  readonly containerImages: readonly ContainerImage[];
}

/**
 * Reads the ClusterImage annotations of a manifest; undefined when it is an ordinary image.
 * @throws SlipwayError E_INVALID_MANIFEST when the annotations are there and malformed.
 */
export function readClusterImage(manifest: Manifest, what: string): ClusterImageInfo | undefined {
  const text = manifest.annotations?.[EXTENSION_ANNOTATION];
  if (text === undefined) return undefined;
  const images = manifest.annotations?.[CONTAINER_IMAGES_ANNOTATION];
  return {
    extension: fromWire(parse(extensionSchema, text, EXTENSION_ANNOTATION, what)),
    containerImages:
      images === undefined
        ? []
        : (parse(z.array(containerImageSchema).nullable(), images, CONTAINER_IMAGES_ANNOTATION, what) ?? []),
  };
}

/** The manifest annotations of a ClusterImage. */
export function writeClusterImage({ extension, containerImages }: ClusterImageInfo): Record<string, string> {
  return {
    [EXTENSION_ANNOTATION]: JSON.stringify(toWire(extension)),
    ...(containerImages.length === 0 ? {} : { [CONTAINER_IMAGES_ANNOTATION]: JSON.stringify(containerImages) }),
  };
}

/** The labels that Metadata implies. sealer calls kubeadm clusters `kubernetes`. */
export function metadataLabels(metadata: Metadata): Record<string, string> {
  const runtime = clusterRuntimeOf(metadata);
  return {
    [LABELS.runtimeType]: runtime === 'k8s' ? 'kubernetes' : runtime,
    ...(metadata.version ? { [LABELS.runtimeVersion]: metadata.version } : {}),
  };
}

/** Takes apart what sealer has in one line. Where `cmds` is all there is, it is all that sealer runs. */
function fromWire({ launch, applications, ...rest }: ClusterImageExtension): ClusterImageExtension {
  const { commands, cmds: lines, app_names: names, ...others } = launch;
  return {
    ...rest,
    applications: applications.map(({ commands: own, ...application }) => {
      const cmds = own ?? application.cmds;
      if (cmds === undefined || cmds.length === 0) return application;
      return { ...application, cmds: own ?? [...appCommands(cmds)] };
    }),
    launch: { ...others, cmds: commands ?? lines, app_names: commands === undefined && lines.length > 0 ? [] : names },
  };
}

/**
 * Puts it as sealer reads it (pkg/application, GetImageLaunchCmds and GetAppLaunchCmd): `cmds` of an application are the words of one
 * line; `launch.cmds`, once it is there at all, is everything that is run.
 */
function toWire({ launch, applications, ...rest }: ClusterImageExtension): Record<string, unknown> {
  const { cmds, app_names: names, ...others } = launch;
  const starts = names.flatMap((name) => {
    const app = applications.find((one) => one.name === name);
    const commands = app === undefined ? [] : startCommands(app);
    return commands.length === 0 ? [] : [`cd ${applicationDir(name)} && ${oneCommand(commands)}`];
  });
  return {
    ...rest,
    applications: applications.map((application) => {
      const { cmds: commands = [] } = application;
      return commands.length < 2 ? application : { ...application, cmds: [oneCommand(commands)], commands };
    }),
    launch: {
      ...others,
      ...(cmds.length === 0 ? {} : { cmds: names.length === 0 ? cmds : [...cmds, ...starts] }),
      ...(names.length === 0 ? {} : { app_names: names }),
      ...(cmds.length === 0 || names.length === 0 ? {} : { commands: cmds }),
    },
  };
}

function parse<T extends z.ZodType>(schema: T, text: string, annotation: string, what: string): z.infer<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: annotation ${annotation} is not valid JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new SlipwayError('E_INVALID_MANIFEST', `${what}: annotation ${annotation}: ${zodProblems(parsed.error)}`);
  return parsed.data;
}
