import { connectBastion } from './connect.js';
import type { SshConnection, SshSettings } from './ssh-connection.js';

/** Connections to bastions, one each, however many hosts are behind them. */
export class SharedBastions {
  readonly #open = new Map<string, Promise<SshConnection>>();

  /**
   * The connection to a bastion: the one there is, else a new one; of several that ask at once the first makes it.
   * @throws SlipwayError as {@link connectBastion}; whoever asks later tries again.
   */
  async connect(address: string, ssh: SshSettings): Promise<SshConnection> {
    const key = JSON.stringify([address, ssh]);
    const before = this.#open.get(key);
    if (before !== undefined) {
      const connection = await before;
      if (!connection.ended) return connection;
      if (this.#open.get(key) === before) this.#open.delete(key);
      return this.connect(address, ssh);
    }
    const opening = connectBastion(address, ssh);
    this.#open.set(key, opening);
    try {
      return await opening;
    } catch (error) {
      if (this.#open.get(key) === opening) this.#open.delete(key);
      throw error;
    }
  }

  /** Ends all of them. To be called when the hosts behind them are done with. */
  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(async (opening) => (await opening.catch(() => undefined))?.close()));
  }
}
