import { realpath } from 'node:fs/promises';
import { release } from 'node:os';
import { messageOf } from '../base/errors.js';
import { RemoteWriter, writerProgram } from './remote-writer.js';
import type { TreeWriterOptions } from './tree-writer.js';

/**
 * The writer of one directory, started when it is first needed and then used again; another one when the last has failed, or when the
 * next layer needs other rights.
 */
export class ConfinedWriters {
  readonly #dir: string;
  readonly #debug: (line: string) => void;
  #current: { readonly writer: RemoteWriter; readonly devices: boolean } | undefined;
  #impossible = false;

  constructor(dir: string, debug: (line: string) => void) {
    this.#dir = dir;
    this.#debug = debug;
  }

  /** Undefined where there can be no confined process. */
  async get(options: TreeWriterOptions): Promise<RemoteWriter | undefined> {
    const devices = options.allowDevices || (options.whiteouts === 'overlay' && !whiteoutsAreFree());
    if (this.#current !== undefined && (this.#current.devices || !devices)) return this.#current.writer;
    await this.close();
    if (this.#impossible) return undefined;
    const program = writerProgram(await realpath(this.#dir), devices);
    if (program === undefined) return undefined;
    try {
      const writer = await RemoteWriter.start(program);
      this.#current = { writer, devices };
      this.#debug(`unpacking in a process that reaches ${this.#dir} only`);
      return writer;
    } catch (error) {
      this.#impossible = true;
      this.#debug(`unpacking in this process, a confined one cannot be had: ${messageOf(error)}`);
      return undefined;
    }
  }

  async close(): Promise<void> {
    await this.#current?.writer.close();
    this.#current = undefined;
  }
}

/** Since Linux 5.8 the device 0/0 of a whiteout is made without the right to make devices. */
function whiteoutsAreFree(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 8);
}
