/** One member of the etcd that runs on the masters. */
export interface EtcdMember {
  /** As etcd writes it, hexadecimal. */
  readonly id: string;
  /** The address in its peer URL: that of its host. */
  readonly address: string;
  /** False of one that was added and has never come. */
  readonly started: boolean;
}

/**
 * Why these masters cannot be taken out one after the other, without etcd losing its quorum on the way; undefined when they can.
 * Source: etcd, "Runtime reconfiguration" and FAQ: a change needs a majority of the members before it, and the cluster one after it.
 */
export function quorumProblem(
  members: readonly EtcdMember[],
  healthy: ReadonlySet<string>,
  leaving: readonly string[],
): string | undefined {
  let now = members.map(({ address }) => address);
  const out = leaving.filter((address) => now.includes(address));
  if (out.length === 0) return undefined;
  if (out.length === now.length) return 'no master would be left';
  // Dead ones first: that only ever makes it better.
  for (const address of [...out].sort((a, b) => Number(healthy.has(a)) - Number(healthy.has(b)))) {
    const up = now.filter((one) => healthy.has(one)).length;
    if (up < majority(now.length)) return `only ${up} of ${now.length} members of etcd are up: it cannot be changed`;
    now = now.filter((one) => one !== address);
    const left = now.filter((one) => healthy.has(one)).length;
    if (left < majority(now.length)) {
      return `without ${address} only ${left} of ${now.length} members of etcd would be up, and ${majority(now.length)} must be`;
    }
  }
  return undefined;
}

function majority(members: number): number {
  return Math.floor(members / 2) + 1;
}
