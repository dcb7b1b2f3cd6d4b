import { formatBytes } from '../base/format.js';
import type { PushedImage } from '../registry/push.js';

/** What a push says of itself to a program. */
export function pushSummary({ name, descriptor, copied, reused }: PushedImage): Readonly<Record<string, unknown>> {
  return { name, digest: descriptor.digest, uploadedBytes: copied, reusedBytes: reused };
}

/** And to a person. */
export function pushLine({ name, descriptor, copied, reused }: PushedImage): string {
  return `Pushed ${name} (${descriptor.digest}): ${formatBytes(copied)} uploaded, ${formatBytes(reused)} were there`;
}
