import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeDocuments } from '../../../src/runtime/kubernetes/merge.js';

it('merges objects, replaces lists and values, and removes what is null', () => {
  expect(
    mergeDocuments(
      { a: { x: 1, y: 2 }, list: [1, 2], gone: true, same: 'a' },
      { a: { y: 3, z: 4 }, list: [3], gone: null, same: 'b' },
    ),
  ).toEqual({ a: { x: 1, y: 3, z: 4 }, list: [3], same: 'b' });
});

it('makes the union of names in certificates', () => {
  expect(mergeDocuments({ certSANs: ['a', 'b'] }, { certSANs: ['b', 'c', 'a'] })).toEqual({
    certSANs: ['a', 'b', 'c'],
  });
});

const document = fc.dictionary(
  fc.constantFrom('a', 'b', 'certSANs', 'd'),
  fc.oneof(fc.string(), fc.array(fc.string()), fc.dictionary(fc.constantFrom('x', 'y'), fc.string())),
);

it('merging a document with itself, or with nothing, changes nothing but duplicates', () => {
  const unique = (value: Record<string, unknown>) =>
    Array.isArray(value.certSANs) ? { ...value, certSANs: [...new Set(value.certSANs)] } : value;
  fc.assert(
    fc.property(document, (one) => {
      expect(mergeDocuments(one, {})).toEqual(one);
      expect(mergeDocuments({}, one)).toEqual(one);
      expect(mergeDocuments(one, one)).toEqual(unique(one));
    }),
  );
});

// A value hides the object below it, so only documents that agree on what is an object and what a list can be compared.
const flat = fc.record(
  { a: fc.string(), certSANs: fc.uniqueArray(fc.string()), d: fc.array(fc.string()) },
  { requiredKeys: [] },
);

it('gives the same whether it is merged from the left or from the right', () => {
  fc.assert(
    fc.property(flat, flat, flat, (a, b, c) => {
      expect(mergeDocuments(mergeDocuments(a, b), c)).toEqual(mergeDocuments(a, mergeDocuments(b, c)));
    }),
  );
});
