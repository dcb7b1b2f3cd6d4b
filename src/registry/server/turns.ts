import { HttpError } from './http-error.js';

export interface TurnLimits {
  /** How many may wait. */
  readonly all: number;
  /** How many of one client may wait. */
  readonly each: number;
}

/**
 * Work that is done one after the other, by turns of the clients who ask for it: one that asks for much waits longer, not those that ask
 * for little.
 */
export class Turns {
  readonly #limits: TurnLimits;
  /** In the order in which it is their turn. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #count = 0;
  #busy = false;

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** @throws HttpError 429 when too many wait. */
  async take<T>(client: string, work: () => Promise<T>): Promise<T> {
    if (this.#busy) await this.#wait(client);
    this.#busy = true;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  async #wait(client: string): Promise<void> {
    const own = this.#waiting.get(client) ?? [];
    if (this.#count >= this.#limits.all || own.length >= this.#limits.each) {
      throw new HttpError(429, 'TOOMANYREQUESTS', 'too many logins are being checked; try again later', {
        'retry-after': '2',
      });
    }
    this.#count++;
    this.#waiting.set(client, own);
    await new Promise<void>((resolve) => own.push(resolve));
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#busy = false;
      return;
    }
    const [client, own] = first;
    const go = own.shift();
    this.#waiting.delete(client);
    if (own.length > 0) this.#waiting.set(client, own); // behind the others
    this.#count--;
    go?.(); // it stays busy: nobody may slip in before
  }
}
