import { describe, expect, it } from 'vitest';
import { type Digest, sha256Digest } from '../../../src/image/digest.js';
import type { ImageSet } from '../../../src/registry/archive/image-set.js';
import type { FoundImage } from '../../../src/registry/archive/layout-index.js';
import { pickImage } from '../../../src/registry/places/pick-image.js';
import { parsePlace } from '../../../src/registry/places/place.js';

const failing = (code: string, message: string | RegExp, hint?: string | RegExp) =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(message),
    ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) }),
  });
const failure = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
};

describe('a place', () => {
  it.each<[string, object]>([
    ['docker://localhost:5000/a/b:v1', { transport: 'docker', reference: { host: 'localhost:5000', tag: 'v1' } }],
    ['oci:/srv/images', { transport: 'oci', path: '/srv/images', name: undefined }],
    ['oci:images:v1', { transport: 'oci', path: 'images', name: 'v1' }],
    ['oci:images:localhost:5000/a:v1', { transport: 'oci', path: 'images', name: 'localhost:5000/a:v1' }],
    ['oci-archive:a.tar', { transport: 'oci-archive', path: 'a.tar', name: undefined }],
    ['oci-archive:-:x:1', { transport: 'oci-archive', path: '-', name: 'x:1' }],
    ['docker-archive:a.tar:x:1', { transport: 'docker-archive', path: 'a.tar', name: 'x:1' }],
    ['docker-archive:a.tar:@1', { transport: 'docker-archive', path: 'a.tar', name: '@1' }],
    ['store:x:1', { transport: 'store', name: 'x:1' }],
    ['store:', { transport: 'store', name: undefined }],
    ['store:docker:24', { transport: 'store', name: 'docker:24' }],
    ['x', { transport: 'store', name: 'x' }],
    ['web:1.0', { transport: 'store', name: 'web:1.0' }],
    ['localhost:5000/x:1', { transport: 'store', name: 'localhost:5000/x:1' }],
    ['dockers:5000/x:1', { transport: 'store', name: 'dockers:5000/x:1' }],
    ['registry.example.com/x@sha256:'.padEnd(94, 'a'), { transport: 'store' }],
    ['cafe1234', { transport: 'store', name: 'cafe1234' }],
    [`sha256:${'a'.repeat(64)}`, { transport: 'store' }],
  ])('%s is read', (text, place) => {
    expect(parsePlace(text)).toMatchObject({ text, ...place });
  });

  it.each<[string, string | RegExp, string | RegExp]>([
    ['dcoker://x', /there is no transport dcoker/, /did you mean docker:\/\/x\?/],
    [
      'docker-archve:x.tar',
      /no transport docker-archve/,
      /did you mean docker-archive:x\.tar\?.*store:docker-archve:x\.tar/,
    ],
    ['oci-archiv:x.tar', /no transport oci-archiv/, 'did you mean oci-archive:x.tar'],
    ['docker:x', /docker:\/\/x/, /store:docker:x/],
    ['dir:/tmp/x', /no transport dir/, /oci:DIR/],
    ['docker-daemon:x:1', /no transport docker-daemon/, /docker load/],
    ['containers-storage:x', /no transport containers-storage/, /podman/],
    ['file:/tmp/x.tar', /no transport file/, /oci-archive:FILE/],
    ['docker://', /the name is missing/, /docker:\/\/host/],
    ['oci:', /the directory is missing/, /oci:PATH/],
    ['oci-archive:', /the file is missing/, /oci-archive:PATH/],
    ['oci:dir:', /the name is empty/, /leave the colon away/],
  ])('%s is refused with what is meant', (text, message, hint) => {
    expect(failure(() => parsePlace(text))).toEqual(failing('E_USAGE', message, hint));
  });

  it.each(['docker://UPPER', 'store:UPPER', 'a b', ''])('%j is no image name', (text) => {
    expect(failure(() => parsePlace(text))).toEqual(failing('E_INVALID_REFERENCE', 'invalid image name'));
  });
});

describe('the image of an archive that a name means', () => {
  const digest = (letter: string): Digest => sha256Digest(letter.repeat(64));
  const image = (letter: string, ...names: string[]): FoundImage => ({
    name: names[0],
    names,
    descriptor: { mediaType: 'm', digest: digest(letter), size: 1 },
  });
  const set = (...images: FoundImage[]): ImageSet =>
    ({ label: '/a.tar', images, content: { label: '/a.tar' } }) as unknown as ImageSet;
  const several = set(image('a', 'x:1'), image('b', 'docker.io/library/y:latest'), image('c'), image('d', 'v1'));

  it.each([
    ['x:1', 'a'],
    ['docker.io/library/x:1', 'a'],
    ['y', 'b'],
    ['y:latest', 'b'],
    ['v1', 'd'],
    ['@2', 'c'],
    [`@${digest('c')}`, 'c'],
  ])('%s', (name, letter) => {
    expect(pickImage(several, name).descriptor.digest).toBe(digest(letter));
  });

  it('without a name is the only one, whatever it is called', () => {
    expect(pickImage(set(image('a', 'x:1')), undefined).descriptor.digest).toBe(digest('a'));
    expect(pickImage(set(image('a')), undefined).descriptor.digest).toBe(digest('a'));
    expect(pickImage(set(image('a', 'x:1'), image('a', 'x:2')), undefined).name).toBe('x:1');
  });

  it('is asked for when it is not clear', () => {
    expect(failure(() => pickImage(several, undefined))).toEqual(
      failing('E_USAGE', /a\.tar has 4 images/, /x:1, docker\.io\/library\/y:latest, @2, v1/),
    );
    expect(failure(() => pickImage(set(image('a', 'x'), image('b', 'x')), 'x'))).toEqual(
      failing('E_USAGE', /2 images named x/),
    );
  });

  it('that is not there is an error with what there is', () => {
    expect(failure(() => pickImage(several, 'x:2'))).toEqual(
      failing('E_NOT_FOUND', /no image x:2/, /did you mean x:1/),
    );
    expect(failure(() => pickImage(several, '@9'))).toEqual(failing('E_NOT_FOUND', /no image @9/));
    expect(failure(() => pickImage(set(), undefined))).toEqual(failing('E_NOT_FOUND', /no image in/));
  });
});
