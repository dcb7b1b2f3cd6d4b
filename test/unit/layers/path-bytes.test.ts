import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fsPath, pathFromBytes, pathToBytes } from '../../../src/layers/path-bytes.js';

describe('paths as bytes', () => {
  it('gives every byte string back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const buffer = Buffer.from(bytes);
        expect(pathToBytes(pathFromBytes(buffer)).equals(buffer)).toBe(true);
      }),
    );
  });

  it('gives every byte string of truncated, overlong and surrogate sequences back', () => {
    const nasty = fc.constantFrom(0x61, 0xc0, 0xc3, 0xa9, 0xe0, 0xed, 0xa0, 0x80, 0xf0, 0x9f, 0x98, 0xf4, 0x90, 0xff);
    fc.assert(
      fc.property(fc.array(nasty), (bytes) => {
        const buffer = Buffer.from(bytes);
        expect(pathToBytes(pathFromBytes(buffer)).equals(buffer)).toBe(true);
      }),
    );
  });

  it('is UTF-8 where the bytes are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = Buffer.from(text, 'utf8');
        expect(pathFromBytes(bytes)).toBe(bytes.toString('utf8'));
        expect(fsPath(bytes.toString('utf8'))).toBe(bytes.toString('utf8'));
      }),
    );
  });

  it('turns other bytes into lone surrogates, as Python does', () => {
    expect(pathFromBytes(Buffer.from([0x61, 0xff, 0xc3, 0xa9]))).toBe('a\udcff\u00e9');
    expect(fsPath('a\udcff')).toEqual(Buffer.from([0x61, 0xff]));
  });
});
