import { isSlipwayError } from '../base/errors.js';
import { gatherFacts } from './facts.js';
import type { CommandResult, Host, HostFacts, RunOptions } from './host.js';
import { Looks } from './looks.js';
import { RootSession } from './root-session.js';
import { runScript } from './run-script.js';
import type { Transport } from './transport.js';
import { Writes } from './writes.js';

export interface ShellHostOptions {
  readonly address: string;
  readonly local: boolean;
  /** Makes the connection; called again when an earlier one was lost. */
  readonly connect: () => Promise<Transport>;
  readonly sudoPassword: string | undefined;
  /** For the login to get from a connection to a root shell. */
  readonly loginTimeoutMs: number;
}

/** A Host on anything that runs shell commands. Connects at the first use. */
export class ShellHost implements Host {
  readonly address: string;
  readonly local: boolean;
  readonly #options: ShellHostOptions;
  readonly #looks = new Looks(this);
  readonly #writes = new Writes(this);
  #session: Promise<RootSession> | undefined;

  constructor(options: ShellHostOptions) {
    this.address = options.address;
    this.local = options.local;
    this.#options = options;
  }

  async run(script: string, options: RunOptions = {}): Promise<CommandResult> {
    return await runScript(await this.#connected(), { host: this.address, script, options });
  }

  async writeFile(path: string, content: Uint8Array | string, options?: { readonly mode?: number }): Promise<void> {
    await this.#writes.write(path, content, options);
  }

  async readFile(path: string): Promise<Buffer | undefined> {
    return await this.#looks.read(path);
  }

  async exists(path: string): Promise<boolean> {
    return await this.#looks.exists(path);
  }

  async facts(options?: { readonly diskPath?: string; readonly programs?: readonly string[] }): Promise<HostFacts> {
    // connected first: the time that connecting takes must not count as clock skew
    await this.#connected();
    return await gatherFacts(this, options);
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    try {
      await (await session)?.close();
    } catch (error) {
      // it never came to be: whoever asked for it was told
      if (!isSlipwayError(error)) throw error;
    }
  }

  async #connected(): Promise<RootSession> {
    const before = this.#session;
    if (before !== undefined) {
      const session = await before;
      if (!session.ended) return session;
      if (this.#session === before) this.#session = undefined;
      return await this.#connected();
    }
    const opening = this.#open();
    this.#session = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#session === opening) this.#session = undefined;
      throw error;
    }
  }

  async #open(): Promise<RootSession> {
    const transport = await this.#options.connect();
    try {
      return await RootSession.open(transport, {
        sudoPassword: this.#options.sudoPassword,
        timeoutMs: this.#options.loginTimeoutMs,
      });
    } catch (error) {
      await transport.close();
      throw error;
    }
  }
}
