import { link } from 'node:fs/promises';
import * as z from 'zod';
import { errnoOf, isSlipwayError, SlipwayError } from '../base/errors.js';
import { readRegularFile } from '../base/read-regular-file.js';
import { zodProblems } from '../base/zod-error.js';
import { MEDIA } from '../image/media-types.js';
import { type Descriptor, descriptorSchema } from '../image/oci.js';
import { replaceFile } from './durable.js';
import { type LockOptions, withLock } from './locks.js';
import type { TempSpace } from './temp.js';

/** OCI image-spec, annotations.md: the name of an image inside a layout. */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** A name of the store and what it stands for. */
export interface StoredImage {
  readonly name: string;
  readonly descriptor: Descriptor;
}

const layoutIndexSchema = z.looseObject({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema),
  annotations: z.record(z.string(), z.string()).optional(),
});
type LayoutIndex = z.infer<typeof layoutIndexSchema>;

export interface ImageIndexOptions {
  /** Names it in the message when others lock it too long. */
  readonly what?: string;
  /** What to do when it is damaged. */
  readonly hint?: string;
  readonly locking?: LockOptions;
}

/** `index.json` of a layout: the names. Readers need no lock, for it is only ever replaced whole. */
export class ImageIndex {
  readonly #file: string;
  readonly #lockFile: string;
  readonly #temp: TempSpace;
  readonly #what: string;
  readonly #locking: LockOptions;
  readonly #next: { readonly hint?: string };

  constructor(
    file: string,
    lockFile: string,
    temp: TempSpace,
    { what = 'the index of the store', hint, locking = {} }: ImageIndexOptions = {},
  ) {
    this.#file = file;
    this.#lockFile = lockFile;
    this.#temp = temp;
    this.#what = what;
    this.#locking = locking;
    this.#next = hint === undefined ? {} : { hint };
  }

  /** All names, sorted. */
  async list(): Promise<StoredImage[]> {
    return imagesOf((await this.#read()).manifests);
  }

  /** The names that can still be read of an index that is damaged; none of one that cannot be read at all. */
  async readable(): Promise<StoredImage[]> {
    try {
      return await this.list();
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
    }
    try {
      const { manifests } = z.looseObject({ manifests: z.array(z.unknown()) }).parse(JSON.parse(await this.#text()));
      return imagesOf(
        manifests.flatMap((entry) => {
          const parsed = descriptorSchema.safeParse(entry);
          return parsed.success ? [parsed.data] : [];
        }),
      );
    } catch {
      return [];
    }
  }

  /**
   * Writes the index anew with these names; the old file stays beside it.
   * @returns where the old one is.
   */
  async rewrite(images: readonly StoredImage[]): Promise<string> {
    const work = async (): Promise<string> => {
      const kept = `${this.#file}.damaged-${Date.now()}`;
      await link(this.#file, kept);
      const manifests = images.map(({ name, descriptor }) => named(name, descriptor));
      const bytes = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests });
      await replaceFile(this.#file, await this.#temp.path('index.json'), bytes);
      return kept;
    };
    return withLock(this.#lockFile, 'exclusive', this.#what, work, this.#locking);
  }

  /** What `name` stands for. */
  async resolve(name: string): Promise<Descriptor | undefined> {
    return (await this.list()).find((image) => image.name === name)?.descriptor;
  }

  /** Lets `name` stand for `descriptor` from now on. */
  async tag(name: string, descriptor: Descriptor): Promise<void> {
    await this.tagAll([{ name, descriptor }]);
  }

  /** {@link tag} for many, and says something about the index as a whole: all at once, or nothing. */
  async tagAll(images: readonly StoredImage[], annotations: Readonly<Record<string, string>> = {}): Promise<void> {
    const news = new Map<string | undefined, Descriptor>(
      images.map(({ name, descriptor }) => [name, named(name, descriptor)]),
    );
    await this.#change(
      (manifests) => [...manifests.filter((other) => !news.has(other.annotations?.[REF_NAME])), ...news.values()],
      annotations,
    );
  }

  /** Adds an image that has no name; once only. */
  async addNameless(descriptor: Descriptor): Promise<void> {
    await this.#change((manifests) => [
      ...manifests.filter(
        ({ digest, annotations }) => digest !== descriptor.digest || annotations?.[REF_NAME] !== undefined,
      ),
      descriptor,
    ]);
  }

  /** Forgets a name; false when there was none. */
  async untag(name: string): Promise<boolean> {
    let found = false;
    await this.#change((manifests) => {
      const rest = manifests.filter(({ annotations }) => annotations?.[REF_NAME] !== name);
      found = rest.length < manifests.length;
      return rest;
    });
    return found;
  }

  async #change(
    edit: (manifests: readonly Descriptor[]) => Descriptor[],
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const work = async (): Promise<void> => {
      const index = await this.#read();
      const manifests = edit(index.manifests);
      const all = { ...index.annotations, ...annotations };
      const more = Object.keys(all).length === 0 ? {} : { annotations: all };
      const bytes = JSON.stringify({ ...index, manifests, ...more });
      await replaceFile(this.#file, await this.#temp.path('index.json'), bytes);
    };
    await withLock(this.#lockFile, 'exclusive', this.#what, work, this.#locking);
  }

  async #read(): Promise<LayoutIndex> {
    let text: string;
    try {
      text = await this.#text();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { schemaVersion: 2, mediaType: MEDIA.index, manifests: [] };
      throw error;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new SlipwayError('E_STORE', `${this.#file} is not valid JSON`, { ...this.#next, cause });
    }
    const parsed = layoutIndexSchema.safeParse(value);
    if (!parsed.success)
      throw new SlipwayError('E_STORE', `${this.#file} is damaged: ${zodProblems(parsed.error)}`, this.#next);
    return parsed.data;
  }

  #text(): Promise<string> {
    return readRegularFile(this.#file);
  }
}

function named(name: string, descriptor: Descriptor): Descriptor {
  return { ...descriptor, annotations: { ...descriptor.annotations, [REF_NAME]: name } };
}

function imagesOf(manifests: readonly Descriptor[]): StoredImage[] {
  return manifests
    .flatMap(({ annotations = {}, ...descriptor }) => {
      const { [REF_NAME]: name, ...others } = annotations;
      if (name === undefined) return [];
      return [
        { name, descriptor: { ...descriptor, ...(Object.keys(others).length === 0 ? {} : { annotations: others }) } },
      ];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
