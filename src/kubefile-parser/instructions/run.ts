import type { RunInstruction } from '../ast.js';
import { readFlags } from '../flags.js';
import { parseMount } from '../mount.js';
import type { Mount } from '../mount-types.js';
import type { StatementReader } from '../statement-reader.js';
import { node } from './node.js';

/** `RUN [--network --mount --isolation --security] COMMAND`: JSON form or text for the shell, that may have heredocs. */
export function parseRun(reader: StatementReader): RunInstruction | undefined {
  const flags = readFlags(reader, {
    network: ['default', 'host', 'none'],
    mount: 'words',
    isolation: ['auto', 'host', 'container'],
    security: ['sandbox', 'insecure'],
  });
  const mounts = (flags.mount ?? []).map((word) => parseMount(reader, word));
  const command = reader.command();
  if (command === undefined) return undefined;
  if (command.form === 'exec' && command.args.length === 0) return reader.missingCommand();
  return {
    ...node('RUN', reader),
    command,
    heredocs: reader.heredocs(false),
    mounts: mounts.filter((mount): mount is Mount => mount !== undefined),
    ...(flags.network !== undefined && flags.network !== 'default' && { network: flags.network }),
    ...(flags.isolation !== undefined && { isolation: flags.isolation }),
    ...(flags.security !== undefined && { security: flags.security }),
  };
}
