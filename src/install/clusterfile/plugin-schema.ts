import * as z from 'zod';
import { durationMs, LONGEST_DURATION_MS } from '../../base/duration.js';
import { HOOK_PHASE_NAMES } from '../spec/hook-phases.js';
import { PLUGIN_TYPES } from '../spec/plugin-spec.js';
import { barredPattern, barredWords, unknownWord } from './choice.js';

/** Names of sealer's API, past ones too: real files have them. */
export const SEALER_API = /^(?:slipway\/v1|sealer\.(?:io|cloud|aliyun\.com)\/v[0-9][a-z0-9]*)$/;

const action = z
  .string()
  .superRefine((text, context) => {
    const words = barredWords(text);
    if (words.length === 0) context.addIssue('names no phase');
    for (const word of words)
      if (!(HOOK_PHASE_NAMES as readonly string[]).includes(word))
        context.addIssue(unknownWord('phase', word, HOOK_PHASE_NAMES));
  })
  .meta({ pattern: barredPattern(HOOK_PHASE_NAMES) })
  .describe('when: a phase, or several with "|" between them; docs/hooks.md has them');

const timeout = z
  .string()
  .superRefine((text, context) => {
    const milliseconds = durationMs(text);
    if (milliseconds === undefined || milliseconds > LONGEST_DURATION_MS)
      context.addIssue('not a duration; write 90s, 10m or 1h30m');
  })
  .describe('how long it may take on a host: 90s, 10m, 1h30m; half an hour when not given');

/** A document of the kind Plugin, in a Clusterfile or in `plugins/` of an image. */
export const pluginSchema = z.strictObject({
  apiVersion: z.string().regex(SEALER_API, 'write slipway/v1'),
  kind: z.literal('Plugin'),
  metadata: z.strictObject({
    name: z.string().regex(/^\P{Cc}{1,128}$/u, 'a name is one line of at most 128 characters'),
  }),
  spec: z.strictObject({
    type: z
      .enum(PLUGIN_TYPES, { error: ({ input }) => (input === undefined ? undefined : typeMistake(input)) })
      .optional()
      .describe('what it does'),
    action: action.optional(),
    scope: z.string().optional().describe('on which hosts: roles, such as master or node|storage; all when not given'),
    on: z
      .string()
      .optional()
      .describe(
        'on which hosts: roles, addresses and ranges of them, or labels of nodes (KEY=VALUE); all when not given. Of ETCD: the file of the snapshot',
      ),
    data: z
      .string()
      .refine((text) => !text.includes('\0'), 'has a NUL character in it')
      .optional()
      .describe('of SHELL: the script, for bash, in the rootfs; of the others: a line for each host'),
    timeout: timeout.optional(),
  }),
});
export type PluginDocument = z.infer<typeof pluginSchema>;

function typeMistake(input: unknown): string {
  if (typeof input !== 'string') return `must be one of ${PLUGIN_TYPES.join(', ')}`;
  return unknownWord('type', input, PLUGIN_TYPES);
}
