/** Numbers that a seed determines. */
export interface Random {
  /** From 0 to 1. */
  next(): number;
  /** A whole number below `bound`. */
  below(bound: number): number;
  pick<T>(items: readonly T[]): T;
  bytes(length: number): Buffer;
}

/** Mulberry32: not for secrets, the same everywhere. */
export function randomOf(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (bound: number): number => Math.floor(next() * bound);
  return {
    next,
    below,
    pick: (items) => items[below(items.length)] as never,
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
