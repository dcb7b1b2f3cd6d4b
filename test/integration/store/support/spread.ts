/** Some of a list, at the same distance from each other; the seed moves them. */
export function spread<T>(items: readonly T[], count: number, seed: number): readonly T[] {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => {
    const at = (seed + Math.floor((index * items.length) / count)) % items.length;
    return items[at] as T;
  });
}
