import * as z from 'zod';
import { appConfigSchema } from '../spec/cluster-spec.js';

/** What was launched of an application image, and how it is taken away again. */
const launchedSchema = z.object({
  /** Undefined: commands of the image as a whole, of which nobody knows how they are undone. */
  application: z.string().optional(),
  /** What the image gives it, without secrets. */
  env: z.record(z.string(), z.string()).optional(),
  /** Undefined when nothing says how, or it may not be kept. */
  delete: z.array(z.string()).optional(),
});
export type LaunchedState = z.infer<typeof launchedSchema>;

/** The name becomes a directory name and part of keys of a ConfigMap. */
export const appNameSchema = z
  .string()
  .max(63, 'at most 63 characters')
  .regex(/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/, 'lower-case letters and digits, with ".", "_" and "-" between them');

export const appStateSchema = z.object({
  /** Of this installation and no later one of the same name. */
  id: z.string(),
  name: appNameSchema,
  image: z.object({ name: z.string(), digest: z.string() }),
  /** `deleting`: its commands may have been run already, and something of it is still on hosts. */
  phase: z.enum(['installing', 'installed', 'deleting']),
  launched: z.array(launchedSchema),
  /** Variables of the image, without secrets. */
  imageEnv: z.record(z.string(), z.string()),
  /** What was given for it, without secrets. `envNotKept` and `notKept` name those, for people. */
  env: z.record(z.string(), z.string()),
  envNotKept: z.array(z.string()),
  notKept: z.array(z.string()),
  appConfigs: z.array(appConfigSchema),
  /** Registries that its container images come from. */
  upstreams: z.array(z.string()),
  /** Whether the registry of the cluster serves container images of it. */
  servesImages: z.boolean(),
  /** Addresses of the hosts on which something of it may be. */
  hosts: z.array(z.string()),
  since: z.string(),
  updated: z.string(),
});

/** An application image that was installed on a cluster. */
export type AppState = z.infer<typeof appStateSchema>;

/** Applications with one more, or another one in the place of that of its name. */
export function withApp(applications: readonly AppState[], app: AppState): AppState[] {
  return [...applications.filter(({ name }) => name !== app.name), app].sort((a, b) => (a.name < b.name ? -1 : 1));
}
