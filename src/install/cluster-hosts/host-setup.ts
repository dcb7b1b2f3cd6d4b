import * as z from 'zod';
import type { Host } from '../../hosts/host.js';
import { isDigest } from '../../image/digest.js';
import type { HostPaths } from '../state/cluster-paths.js';

const setupSchema = z.object({
  /** Digest of what it was made from. */
  inputs: z.string().refine(isDigest),
  /** Digest of the image. */
  image: z.string(),
  /** Of Kubernetes: `v1.20.2`. */
  version: z.string(),
});
/** How a host was set up, as a file on it says: written when the scripts have run to their end. */
export type HostSetup = z.infer<typeof setupSchema>;

/** How a host was set up; undefined when it never was to the end, or does not say so legibly. */
export async function readSetup(host: Host, { setup }: HostPaths): Promise<HostSetup | undefined> {
  const text = (await host.readFile(setup))?.toString('utf8');
  if (text === undefined) return undefined;
  try {
    return setupSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
