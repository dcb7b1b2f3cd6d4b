import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { errnoOf, SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { MEDIA } from '../image/media-types.js';
import { type Descriptor, descriptorSchema } from '../image/oci.js';
import { replaceFile } from './durable.js';
import { withLock } from './locks.js';
import type { TempSpace } from './temp.js';

/** OCI image-spec, annotations.md: the name of an image inside a layout. */
const REF_NAME = 'org.opencontainers.image.ref.name';

/** A name of the store and what it stands for. */
export interface StoredImage {
  readonly name: string;
  readonly descriptor: Descriptor;
}

const layoutIndexSchema = z.looseObject({ schemaVersion: z.literal(2), manifests: z.array(descriptorSchema) });
type LayoutIndex = z.infer<typeof layoutIndexSchema>;

/** `index.json` of the layout: the names. Readers need no lock, for it is only ever replaced whole. */
export class ImageIndex {
  readonly #file: string;
  readonly #lockFile: string;
  readonly #temp: TempSpace;

  constructor(file: string, lockFile: string, temp: TempSpace) {
    this.#file = file;
    this.#lockFile = lockFile;
    this.#temp = temp;
  }

  /** All names, sorted. */
  async list(): Promise<StoredImage[]> {
    const { manifests } = await this.#read();
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

  /** What `name` stands for. */
  async resolve(name: string): Promise<Descriptor | undefined> {
    return (await this.list()).find((image) => image.name === name)?.descriptor;
  }

  /** Lets `name` stand for `descriptor` from now on. */
  async tag(name: string, descriptor: Descriptor): Promise<void> {
    const entry: Descriptor = { ...descriptor, annotations: { ...descriptor.annotations, [REF_NAME]: name } };
    await this.#change((manifests) => [...manifests.filter((other) => other.annotations?.[REF_NAME] !== name), entry]);
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

  async #change(edit: (manifests: readonly Descriptor[]) => Descriptor[]): Promise<void> {
    await withLock(this.#lockFile, 'exclusive', 'the index of the store', async () => {
      const index = await this.#read();
      const manifests = edit(index.manifests);
      const bytes = JSON.stringify({ ...index, manifests });
      await replaceFile(this.#file, await this.#temp.path('index.json'), bytes);
    });
  }

  async #read(): Promise<LayoutIndex> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { schemaVersion: 2, mediaType: MEDIA.index, manifests: [] };
      throw error;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      throw new SlipwayError('E_STORE', `${this.#file} is not valid JSON`, { cause });
    }
    const parsed = layoutIndexSchema.safeParse(value);
    if (!parsed.success) throw new SlipwayError('E_STORE', `${this.#file}: ${zodProblems(parsed.error)}`);
    return parsed.data;
  }
}
