import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { registerSecret } from '../../../../src/base/redact.js';
import { createRunOutput } from '../../../../src/build/sandbox/output.js';
import type { OutputStream } from '../../../../src/build/sandbox/sandbox-request.js';

function collect(prefix = '', keep?: number) {
  const lines: string[] = [];
  const streams: OutputStream[] = [];
  const output = createRunOutput(
    prefix,
    (line, stream) => {
      lines.push(line);
      streams.push(stream);
    },
    keep,
  );
  return { output, lines, streams };
}

describe('the output of a RUN', () => {
  it('is lines with a prefix, also the last one without an end', () => {
    const { output, lines } = collect('[2/5]');
    output.push(Buffer.from('one\ntw'), 'stdout');
    output.push(Buffer.from('o\r\n\nthree'), 'stdout');
    expect(lines).toEqual(['[2/5] one', '[2/5] two', '[2/5] ']);
    output.end();
    expect(lines.at(-1)).toBe('[2/5] three');
  });

  it('keeps colours, NUL and control characters', () => {
    const { output, lines } = collect();
    output.push(Buffer.from('\x1b[31mred\x1b[0m a\0b\x07\n'), 'stdout');
    expect(lines).toEqual(['\x1b[31mred\x1b[0m a\0b\x07']);
  });

  it('does not mix the halves of lines of two streams', () => {
    const { output, lines, streams } = collect();
    output.push(Buffer.from('out '), 'stdout');
    output.push(Buffer.from('err\n'), 'stderr');
    output.push(Buffer.from('put\n'), 'stdout');
    expect(lines).toEqual(['err', 'out put']);
    expect(streams).toEqual(['stderr', 'stdout']);
  });

  it('remembers the last lines, of a progress bar what a terminal would show', () => {
    const { output } = collect('[1/1]', 2);
    output.push(Buffer.from('a\nb\n10%\r50%\r100%\n'), 'stderr');
    expect(output.tail()).toEqual(['b', '100%']);
  });

  it('gives the same lines however the bytes are cut', () => {
    const text = fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }).map((line) => line.replace(/[\r\n]/g, ' ')));
    fc.assert(
      fc.property(text, fc.array(fc.nat(30)), (wanted, cuts) => {
        const bytes = Buffer.from(wanted.map((line) => `${line}\n`).join(''));
        const { output, lines } = collect();
        let start = 0;
        for (const length of cuts) {
          output.push(bytes.subarray(start, start + length), 'stdout');
          start += length;
        }
        output.push(bytes.subarray(start), 'stdout');
        output.end();
        expect(lines).toEqual(wanted);
      }),
    );
  });

  it('gives a line of 100 MB out in pieces and holds none of it', () => {
    let pieces = 0;
    let characters = 0;
    let longest = 0;
    const output = createRunOutput('', (line) => {
      pieces++;
      characters += line.length;
      longest = Math.max(longest, line.length);
    });
    const chunk = Buffer.alloc(1_000_003, 'é');
    for (let index = 0; index < 100; index++) output.push(chunk, 'stdout');
    expect(pieces).toBeGreaterThan(1000);
    output.push(Buffer.from('\nnext\n'), 'stdout');
    expect(longest).toBeLessThanOrEqual(16 * 1024);
    expect(characters).toBeGreaterThan(50_000_000);
    expect(output.tail().at(-1)).toBe('next');
    expect(Math.max(...output.tail().map((line) => line.length))).toBeLessThanOrEqual(1001);
  });

  it('masks a secret wherever a line is cut, into pieces or for the error', () => {
    const secret = 'S3CR3T-abcdefgh';
    registerSecret(secret);
    for (let before = 16 * 1024 - secret.length; before <= 16 * 1024; before++) {
      const { output, lines } = collect();
      output.push(Buffer.from(`${'x'.repeat(before)}${secret}\n`), 'stdout');
      expect(lines.join('')).toBe(`${'x'.repeat(before)}***`);
    }
    const { output, lines } = collect();
    output.push(Buffer.from(`${'y'.repeat(990)}${secret}\n${'z'.repeat(16 * 1024 - 2)}S3`), 'stdout');
    output.end();
    expect(output.tail()[0]).toBe(`${'y'.repeat(990)}***`);
    // What only began like one is not lost.
    expect(lines.slice(1).join('')).toBe(`${'z'.repeat(16 * 1024 - 2)}S3`);
  });

  it('does not break a character at the end of a piece, nor add an empty line', () => {
    const line = `a${'é'.repeat(8192)}${'x'.repeat(16383)}`;
    const { output, lines } = collect();
    output.push(Buffer.from(`${line}\nend\n`), 'stdout');
    expect(lines.slice(0, -1).join('')).toBe(line);
    expect(lines.at(-1)).toBe('end');
    expect(lines).not.toContain('');
  });
});
