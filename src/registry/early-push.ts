import { messageOf } from '../base/errors.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { type Slots, slots } from '../base/slots.js';
import type { Descriptor } from '../image/oci.js';
import { parseReference } from '../image/reference.js';
import type { Store } from '../store/store.js';
import { Repository } from './client.js';
import type { ContentTarget } from './content.js';
import { copyBlob } from './copy.js';
import type { RegistryOptions } from './options.js';
import { remoteTarget } from './remote-content.js';
import { storeSource } from './store-content.js';

/** Layers on their way at the same time; the processor is busy packing the next ones. */
const PARALLEL = 2;

interface Place {
  readonly repository: Repository;
  readonly target: ContentTarget;
}

/**
 * Sends layers of an image to registries while others are still being made. Only a beginning: pushing the image afterwards finds them
 * there. What goes wrong here goes wrong there again, and is said there.
 */
export class EarlyPush {
  readonly #store: Store;
  readonly #places: readonly Place[];
  readonly #reporter: Reporter;
  readonly #slots: Slots = slots(PARALLEL);
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #sent = new Map<string, number>();
  #failed = false;

  /** @param names that the image will be pushed under. */
  constructor(store: Store, names: readonly string[], options: RegistryOptions) {
    this.#store = store;
    this.#reporter = options.reporter ?? silentReporter;
    const places = new Map<string, Place>();
    for (const name of names) {
      const repository = Repository.of(parseReference(name), options);
      const target = remoteTarget(repository, { mountFrom: (blob) => store.repositoriesWith(blob, repository.host) });
      places.set(target.label, { repository, target });
    }
    this.#places = [...places.values()];
    options.signal?.addEventListener('abort', () => this.#stop.abort(options.signal?.reason), { once: true });
  }

  /** A layer that is in the store now. Returns at once. */
  begin(layer: Descriptor): void {
    const running = this.#slots(() => this.#send(layer)).catch((error: unknown) => {
      // One failure is enough to know: the rest waits for the push itself.
      this.#failed = true;
      this.#reporter.debug(`pushing early: ${messageOf(error)}`);
    });
    this.#running.add(running);
    running.finally(() => this.#running.delete(running));
  }

  /** Waits for what is on its way. @returns the bytes that have been sent to each `host/repository`. */
  async settled(): Promise<ReadonlyMap<string, number>> {
    await Promise.all(this.#running);
    return this.#sent;
  }

  /** Ends it all: there will be no image. */
  async abandon(): Promise<void> {
    this.#failed = true;
    this.#stop.abort();
    await this.settled();
  }

  /** To one place after the other: another repository of a registry takes it from the first. */
  async #send(layer: Descriptor): Promise<void> {
    for (const { repository, target } of this.#places) {
      if (this.#failed) return;
      const placed = await copyBlob(storeSource(this.#store), target, layer, this.#reporter, this.#stop.signal);
      await this.#store.noteSource(layer.digest, repository.host, repository.name);
      if (placed === 'copied') this.#sent.set(target.label, (this.#sent.get(target.label) ?? 0) + layer.size);
    }
  }
}
