import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BoundedText, LastLines, textDecoder } from '../../../src/hosts/output.js';

describe('output', () => {
  it('is kept whole up to the limit, else its beginning and its end', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 30 }), { maxLength: 30 }),
        fc.integer({ min: 1, max: 50 }),
        (pieces, limit) => {
          const bounded = new BoundedText(limit);
          for (const piece of pieces) bounded.push(piece);
          const all = pieces.join('');
          const expected =
            all.length <= 2 * limit
              ? all
              : `${all.slice(0, limit)}\n[… ${all.length - 2 * limit} characters dropped …]\n${all.slice(-limit)}`;
          expect(bounded.text()).toBe(expected);
        },
      ),
    );
  });

  it('drops what is too much in pieces of any size', () => {
    const bounded = new BoundedText(100_000);
    for (let index = 0; index < 30_000; index++) bounded.push('0123456789');
    bounded.push('the end');
    expect(bounded.text()).toMatch(/^0123.*\n\[… 100007 characters dropped …\]\n.*the end$/s);
  });

  it('gives the last lines of both streams', () => {
    const last = new LastLines(3);
    for (let index = 0; index < 10; index++) last.push(`line ${index}\n`, 'stdout');
    last.push('half ', 'stdout');
    last.push('error\n', 'stderr');
    expect(last.lines()).toEqual(['line 9', 'error', 'half']);
    last.push('line\n\n\n', 'stdout');
    expect(last.lines()).toEqual(['half line']);
    expect(new LastLines().lines()).toEqual([]);
  });

  it('gives characters whole that come in two pieces', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, at) => {
        const bytes = Buffer.from(text);
        const cut = bytes.length === 0 ? 0 : at % bytes.length;
        let seen = '';
        const decoder = textDecoder((piece) => {
          seen += piece;
        });
        decoder.push(bytes.subarray(0, cut));
        decoder.push(bytes.subarray(cut));
        decoder.end();
        expect(seen).toBe(text);
      }),
    );
  });
});
