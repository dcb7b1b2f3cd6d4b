import * as z from 'zod';
import type { Host } from '../../hosts/host.js';
import { type Digest, hexOf } from '../../image/digest.js';
import type { HostPaths } from '../state/cluster-paths.js';

const notesSchema = z.record(z.string(), z.string());

/**
 * What hooks have run on a host, as a file on it says: of each what it was made from. It goes with the host: one that was installed anew,
 * or left the cluster, has run none.
 */
export async function readHookNotes(host: Host, { hooks }: HostPaths): Promise<Readonly<Record<string, string>>> {
  const text = (await host.readFile(hooks))?.toString('utf8');
  if (text === undefined) return {};
  try {
    return notesSchema.parse(JSON.parse(text));
  } catch {
    // Somebody wrote there, or the disk failed: then nothing is known.
    return {};
  }
}

export async function hasHookNote(host: Host, paths: HostPaths, id: string, inputs: Digest): Promise<boolean> {
  return (await readHookNotes(host, paths))[id] === hexOf(inputs);
}

/** Not to be called twice at once for a host. */
export async function writeHookNote(host: Host, paths: HostPaths, id: string, inputs: Digest): Promise<void> {
  const notes = { ...(await readHookNotes(host, paths)), [id]: hexOf(inputs) };
  await host.writeFile(paths.hooks, `${JSON.stringify(notes)}\n`, { mode: 0o600 });
}
