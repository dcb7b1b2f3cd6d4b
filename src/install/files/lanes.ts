/** A way for files to get to a host: from another host that has them, or from here. */
export interface Lane<H> {
  /** Undefined: from here. */
  readonly from: H | undefined;
  /** Gives the way back. @param failed nothing came this way */
  end(failed?: boolean): void;
}

/** It may have been the fault of the other side once. */
const MOST_FAILURES = 2;

/**
 * Hands out ways to those that wait for files. Whoever has them becomes a way itself, for one at a time; from here there are `uploads` ways at
 * once. A host that has them is taken before a way from here: that is the slow link. One from which nothing comes is not taken again.
 */
export class Lanes<H> {
  #uploads: number;
  #free: H[] = [];
  #waiting: { readonly fromHere: boolean; readonly give: (lane: Lane<H>) => void }[] = [];
  readonly #failures = new Map<H, number>();

  constructor(uploads: number) {
    this.#uploads = Math.max(1, uploads);
  }

  /** This one has the files now. */
  add(host: H): void {
    this.#free.push(host);
    this.#hand();
  }

  /** The next way that is free. @param fromHere only one from here */
  take(fromHere = false): Promise<Lane<H>> {
    return new Promise((give) => {
      this.#waiting.push({ fromHere, give });
      this.#hand();
    });
  }

  #hand(): void {
    this.#waiting = this.#waiting.filter(({ fromHere, give }) => {
      const from = fromHere ? undefined : this.#free.shift();
      if (from === undefined) {
        if (this.#uploads === 0) return true;
        this.#uploads--;
      }
      give(this.#lane(from));
      return false;
    });
  }

  #lane(from: H | undefined): Lane<H> {
    let ended = false;
    return {
      from,
      end: (failed = false) => {
        if (ended) return;
        ended = true;
        if (from === undefined) this.#uploads++;
        else {
          const failures = (this.#failures.get(from) ?? 0) + (failed ? 1 : 0);
          this.#failures.set(from, failures);
          if (failures < MOST_FAILURES) this.#free.push(from);
        }
        this.#hand();
      },
    };
  }
}
