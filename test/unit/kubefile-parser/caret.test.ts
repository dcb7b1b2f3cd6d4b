import { expect, test } from 'vitest';
import { caret } from '../../../src/kubefile-parser/caret.js';
import { instruction, lines, parse } from './kit.js';

test('points at a word of a parsed file, for errors that come up later', () => {
  const text = lines('FROM scratch', 'COPY a \\', '  镜像 nofile .');
  const copy = instruction('COPY', text);
  const position = copy.sources[2]?.position ?? { line: 0, column: 0 };
  expect(caret(parse(text), position)).toBe(['Kubefile:3:6', '      镜像 nofile .', '           ^'].join('\n'));
});

test('at the end of a line, in the last line, beyond the file', () => {
  const source = { file: 'K', text: 'FROM\nRUN' };
  expect(caret(source, { line: 1, column: 5 })).toBe('K:1:5\n    FROM\n        ^');
  expect(caret(source, { line: 2, column: 1 })).toBe('K:2:1\n    RUN\n    ^');
  expect(caret(source, { line: 9, column: 1 })).toBe('K:9:1\n    \n    ^');
});
