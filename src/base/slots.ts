/** Runs work when one of its places is free. */
export type Slots = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * A fixed number of places for heavy work that is started from many sides, first come first served. Work that holds a place must not
 * wait for other work that needs one.
 */
export function slots(places: number): Slots {
  let free = Math.max(1, places);
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
