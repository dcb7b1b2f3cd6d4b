import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { runScript } from '../../../src/kubefile-parser/run-script.js';
import { instruction, lines } from './kit.js';

const scriptOf = (...text: string[]): ReturnType<typeof runScript> => runScript(instruction('RUN', lines(...text)));

test('exec form, shell form', () => {
  expect(scriptOf('RUN ["a", "$b"]')).toEqual({ kind: 'exec', args: ['a', '$b'] });
  expect(scriptOf('RUN a "$b" \\', '  c')).toEqual({ kind: 'shell', text: 'a "$b"   c' });
});

test('nothing but a heredoc: its content is the script', () => {
  expect(scriptOf('RUN <<EOF', 'a', '\tb', 'EOF')).toEqual({ kind: 'shell', text: 'a\n\tb\n' });
  expect(scriptOf('RUN --network=none << "EOF"', 'a', 'EOF')).toEqual({ kind: 'shell', text: 'a\n' });
  expect(scriptOf('RUN <<-EOF', '\t#!/usr/bin/python3', '\tprint(1)', '\tEOF')).toEqual({
    kind: 'file',
    content: '#!/usr/bin/python3\nprint(1)\n',
  });
});

test('otherwise the shell gets text and heredocs, and understands them', () => {
  const script = scriptOf(
    "RUN cat <<A - <<'B' | tr a-z A-Z; cat <<-C",
    'lost $((1 + 1))',
    'A',
    'b $x',
    'B',
    '\t\tc $((1 << 2))',
    '\tC',
  );
  expect(script).toMatchObject({ kind: 'shell' });
  const output = execFileSync('sh', ['-c', script.kind === 'shell' ? script.text : ''], { encoding: 'utf8' });
  expect(output).toBe('B $X\nc 4\n');
});
