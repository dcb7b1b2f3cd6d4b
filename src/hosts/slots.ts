/** A bound on how much goes on at once, first come first served, which may shrink while in use. */
export class Slots {
  #limit: number;
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get busy(): number {
    return this.#busy;
  }

  /**
   * Waits for a free slot.
   * @throws the signal's reason when it is aborted first.
   */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.#busy < this.#limit) {
      this.#busy++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const turn = (): void => {
        signal?.removeEventListener('abort', leave);
        this.#busy++;
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(turn);
    });
  }

  free(): void {
    this.#busy--;
    while (this.#busy < this.#limit && this.#waiting.length > 0) this.#waiting.shift()?.();
  }

  /** From now on at most `limit`, at least 1; what is running goes on. */
  shrink(limit: number): void {
    this.#limit = Math.max(1, Math.min(this.#limit, limit));
  }
}
