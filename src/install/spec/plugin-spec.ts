import * as z from 'zod';
import { HOOK_PHASE_NAMES } from './hook-phases.js';

/** What plugins do. Names are sealer's. */
export const PLUGIN_TYPES = ['SHELL', 'LABEL', 'TAINT', 'HOSTNAME', 'CLUSTERCHECK', 'ETCD'] as const;
export type PluginType = (typeof PLUGIN_TYPES)[number];

/** Where plugins of the Clusterfile come from, for people; those of the image name their file. */
export const CLUSTERFILE_SOURCE = 'the Clusterfile';

export const pluginSpecSchema = z.strictObject({
  name: z.string().min(1),
  type: z.enum(PLUGIN_TYPES),
  phases: z.array(z.enum(HOOK_PHASE_NAMES)),
  /** Which hosts, as it was written; of ETCD a file on the master. */
  on: z.string().optional(),
  /** Which roles, as it was written. */
  scope: z.string().optional(),
  data: z.string(),
  timeoutMs: z.number().int().positive().optional(),
  /** Where it was written down: {@link CLUSTERFILE_SOURCE}, or `plugins/x.yaml of the image`. */
  source: z.string(),
});
/** Something that is done besides installing Kubernetes, at moments that it names. Checked: what it says can be read. */
export type PluginSpec = z.infer<typeof pluginSpecSchema>;

const PLACED: readonly PluginType[] = ['LABEL', 'TAINT', 'HOSTNAME'];

/** Whether the phase that a plugin names decides nothing: what it wants has a place of its own in an installation. */
export function hasOwnPlace({ type }: Pick<PluginSpec, 'type'>): boolean {
  return PLACED.includes(type);
}
