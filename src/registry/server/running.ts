import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** The requests that a server is answering. */
export class Running {
  readonly #responses = new Set<ServerResponse>();
  #ending = false;
  #onNone = (): void => {};

  get count(): number {
    return this.#responses.size;
  }

  add(response: ServerResponse): void {
    this.#responses.add(response);
    if (this.#ending) response.shouldKeepAlive = false;
    response.once('close', () => {
      this.#responses.delete(response);
      if (this.#responses.size === 0) this.#onNone();
    });
  }

  /** Lets those that are being answered come to their end, for `grace` milliseconds at most. */
  async end(grace: number): Promise<void> {
    this.#ending = true;
    if (grace === 0 || this.#responses.size === 0) return;
    for (const response of this.#responses) response.shouldKeepAlive = false;
    const enough = new AbortController();
    const none = new Promise<void>((resolve) => {
      this.#onNone = resolve;
    });
    await Promise.race([none, sleep(grace, undefined, { signal: enough.signal }).catch(() => {})]);
    enough.abort();
  }
}
