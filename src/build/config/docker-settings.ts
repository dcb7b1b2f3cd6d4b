import * as z from 'zod';

/**
 * What an ordinary container image keeps and a ClusterImage has no use for, named as in the image config. `Healthcheck` and `OnBuild` are
 * Docker's additions to the OCI fields.
 */
const settingsSchema = z.object({
  ExposedPorts: z.record(z.string(), z.object({})).optional().catch(undefined),
  Volumes: z.record(z.string(), z.object({})).optional().catch(undefined),
  StopSignal: z.string().optional().catch(undefined),
  Healthcheck: z.looseObject({}).optional().catch(undefined),
  OnBuild: z.array(z.string()).optional().catch(undefined),
});
export type DockerSettings = Readonly<z.infer<typeof settingsSchema>>;

/** What a base image brings. What is malformed is left away. */
export function inheritedSettings(config: unknown): DockerSettings {
  const settings = settingsSchema.parse(config ?? {});
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}
