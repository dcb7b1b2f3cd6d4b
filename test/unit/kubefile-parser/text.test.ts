import { describe, expect, test } from 'vitest';
import { instruction, lines, parse, problemsOf, raws, warningsOf } from './kit.js';

describe('encoding and line ends', () => {
  test('a byte order mark is dropped and moves no column', () => {
    const bytes = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('FROM scratch\nCOPY a b\n')]);
    expect(parse(bytes).stages[0]?.from.position).toEqual({ line: 1, column: 1, endLine: 1 });
    expect(parse('\ufeffFROM scratch').text).toBe('FROM scratch');
  });

  test('CRLF is read as LF, also in heredocs and behind a continuation', () => {
    const text = 'FROM scratch\r\nRUN a \\\r\n b\r\nCOPY <<E /x\r\none\r\r\nE\r\n';
    expect(instruction('RUN', text).command).toEqual({ form: 'shell', text: 'a  b' });
    expect(instruction('COPY', text).heredocs[0]?.content).toBe('one\n');
  });

  test.each<[string, string | Uint8Array, string[]]>([
    [
      'invalid UTF-8',
      Buffer.concat([Buffer.from('FROM x\nCOPY é'), Buffer.from([0xff]), Buffer.from(' b\n')]),
      ['2:7 this is not UTF-8'],
    ],
    [
      'an overlong form',
      Buffer.concat([Buffer.from('FROM x\n# '), Buffer.from([0xc0, 0xaf])]),
      ['2:3 this is not UTF-8'],
    ],
    [
      'a character cut off at the end of a line',
      Buffer.concat([Buffer.from('FROM x\n#'), Buffer.from([0xe4, 0xb8, 0x0a]), Buffer.from('RUN x')]),
      ['2:2 this is not UTF-8'],
    ],
    [
      'invalid bytes behind a true U+FFFD',
      Buffer.concat([Buffer.from('FROM x\n# \ufffd'), Buffer.from([0x80])]),
      ['2:4 this is not UTF-8'],
    ],
    ['half a surrogate pair', 'FROM x\nCOPY \ud800 b', ['2:6 this is not UTF-8']],
    ['a NUL byte', 'FROM x\nCOPY a\0 b\nCOPPY', ['2:7 a NUL byte', '3:1 unknown instruction "COPPY"']],
    ['a NUL byte in a heredoc', 'FROM x\nCOPY <<E /x\na\0\nE\n', ['3:2 a NUL byte']],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });

  test('a true U+FFFD is a character', () => {
    expect(problemsOf(Buffer.from('FROM x\n# \ufffd\n'))).toEqual([]);
  });

  test('the longest line has 65 535 bytes', () => {
    const run = (bytes: number): string => `FROM x\nRUN ${'é'.repeat((bytes - 5) / 2)}a\n`;
    expect(problemsOf(run(65_535))).toEqual([]);
    expect(problemsOf(run(65_537))).toEqual(['2:1 a line of 65537 bytes; at most 65535 are possible']);
  });

  test('a line may grow longer than that by continuations', () => {
    const text = `FROM x\nRUN ${'a\\\n'.repeat(70_000)}b`;
    expect(instruction('RUN', text).command).toEqual({ form: 'shell', text: `${'a'.repeat(70_000)}b` });
  });
});

describe('directives', () => {
  test.each([
    ['none', 'FROM x', { escape: '\\', dialect: 'kubefile' }],
    [
      'all, in any case and with blanks',
      '#syntax = a/b:1 \n # Escape=`\n#\tDIALECT=Docker\nFROM x',
      { escape: '`', dialect: 'docker', syntax: 'a/b:1' },
    ],
    ["Docker's check is stepped over", '# check=error=true\n# escape=`\nFROM x', { escape: '`', dialect: 'kubefile' }],
    ['not behind a comment', '# hello\n# escape=`\nFROM x', { escape: '\\', dialect: 'kubefile' }],
    ['not behind an empty line', '\n# escape=`\nFROM x', { escape: '\\', dialect: 'kubefile' }],
    ['not behind an unknown one', '# foo=bar\n# escape=`\nFROM x', { escape: '\\', dialect: 'kubefile' }],
    ['not in a heredoc', 'FROM x\nRUN <<E\n# escape=`\nE', { escape: '\\', dialect: 'kubefile' }],
  ])('%s', (_, text, expected) => {
    expect(parse(text).directives).toEqual(expected);
  });

  test('one that comes too late is warned about', () => {
    expect(warningsOf('# hi\n # dialect=docker\nFROM x\n# escape = `\n# image=x\n# a comment')).toEqual([
      '2:2 misplaced-directive',
      '4:1 misplaced-directive',
    ]);
  });

  test.each([
    ['# escape=x\nFROM x', '1:10 "x" cannot be the escape character'],
    ['# escape=`\n# Escape=\\\nFROM x', '2:10 the directive escape a second time'],
    ['# dialect=dokcer\nFROM x', '1:11 unknown dialect "dokcer"'],
  ])('%s', (text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });
});

describe('continuations', () => {
  test('blanks behind the escape character, comment lines between, the indentation of what follows', () => {
    const run = instruction('RUN', lines('RUN a \\ \t', '  # a comment', '# another', '  b\\', 'c'));
    expect(run.command).toEqual({ form: 'shell', text: 'a   bc' });
    expect(run.source).toBe('RUN a   bc');
    expect(run.position).toEqual({ line: 2, column: 1, endLine: 6 });
  });

  test('words know their own line', () => {
    const copy = instruction('COPY', lines('', '  copy \\', '  one\\', '-more \\', '\ttwo'));
    expect(copy.position).toEqual({ line: 3, column: 3, endLine: 6 });
    expect(copy.sources).toEqual([{ raw: 'one-more', position: { line: 4, column: 3 } }]);
    expect(copy.destination).toEqual({ raw: 'two', position: { line: 6, column: 2 } });
  });

  test('the keyword may come on a later line', () => {
    expect(instruction('RUN', lines('\\', ' RUN x')).position).toEqual({ line: 3, column: 2, endLine: 3 });
  });

  test('an escaped escape character does not continue', () => {
    expect(instruction('RUN', lines('RUN a\\\\', 'RUN b')).command).toEqual({ form: 'shell', text: 'a\\\\' });
  });

  test('with another escape character', () => {
    const copy = instruction('COPY', lines('# escape=`', 'FROM x', 'COPY a `', 'c:\\'));
    expect([...raws(copy.sources), copy.destination.raw]).toEqual(['a', 'c:\\']);
  });

  test('an empty line inside, and one that nothing follows, are warned about', () => {
    expect(warningsOf(lines('FROM x', 'RUN a \\', '', '  ', '', 'b'))).toEqual(['3:1 empty-continuation']);
    expect(warningsOf(lines('FROM x', 'RUN a \\'))).toEqual(['2:7 unfinished-continuation']);
  });

  test('comments and blank lines between instructions', () => {
    expect(parse(lines('', '  # one', 'FROM x', '\t', '#two', 'RUN a # b', '')).stages[0]?.instructions).toMatchObject([
      { command: { text: 'a # b' } },
    ]);
  });

  test('instructions in any case', () => {
    expect(parse('from x As B\nrUn a').stages).toMatchObject([
      { from: { name: 'b' }, instructions: [{ kind: 'RUN' }] },
    ]);
  });
});

describe('heredocs', () => {
  test('of COPY: several, chomped, quoted', () => {
    const text = lines(
      'COPY <<one <<-"two words" <<\\EOF /dst/',
      '\ta $v',
      'one',
      '\t\tb',
      '\ttwo words',
      '# c',
      'EOF',
      'USER u',
    );
    const copy = instruction('COPY', text);
    expect(copy.heredocs).toEqual([
      { name: 'one', content: '\ta $v\n', expand: true, chomp: false, position: { line: 2, column: 6 } },
      { name: 'two words', content: 'b\n', expand: false, chomp: true, position: { line: 2, column: 12 } },
      { name: 'EOF', content: '# c\n', expand: false, chomp: false, position: { line: 2, column: 27 } },
    ]);
    expect(copy.sources).toEqual([]);
    expect(copy.destination).toEqual({ raw: '/dst/', position: { line: 2, column: 34 } });
    expect(copy.position.endLine).toBe(8);
    expect(copy.source).toBe('COPY <<one <<-"two words" <<\\EOF /dst/');
    expect(instruction('USER', text).position.line).toBe(9);
  });

  test('next to paths', () => {
    const copy = instruction('COPY', lines('COPY a << EOF b /dst/', 'EOF'));
    expect(raws(copy.sources)).toEqual(['a', 'b']);
    expect(copy.heredocs).toMatchObject([{ name: 'EOF', content: '' }]);
  });

  test.each([
    ['RUN <<EOF', ['EOF'], true],
    ['RUN <<-EOF sh', ['EOF'], true],
    ['RUN 3<<EOF cat <&3', ['EOF'], true],
    ['RUN cat <<EOF; echo', ['EOF'], true],
    ["RUN cat <<E'O'F | sh", ['EOF'], false],
    ['RUN --network=none <<$EOF', ['$EOF'], true],
    ['ADD <<EOF /x', ['EOF'], true],
    ['ONBUILD RUN <<EOF', ['EOF'], true],
  ])('%s', (text, names, expand) => {
    const node = parse(`FROM x\n${text}\ncontent\n${names[0]}\nUSER u`).stages[0]?.instructions[0];
    expect(node).toMatchObject({ heredocs: names.map((name) => ({ name, expand, content: 'content\n' })) });
  });

  test.each([
    'RUN "<<EOF"',
    'RUN cat <<<EOF',
    'RUN echo $((1 << 2))',
    "RUN echo it's <<EOF",
    'RUN a<<EOF',
    'RUN ["<<EOF"]',
    'RUN << ',
    'RUN \\<<EOF',
    'ENV A="x" B=<<EOF',
    'USER <<EOF',
  ])('none in: %s', (text) => {
    expect(parse(`FROM x\n${text}\nUSER u`).stages[0]?.instructions).toHaveLength(2);
  });

  test('two of a name are two files for the shell, and one too many for COPY', () => {
    expect(instruction('RUN', lines('RUN cat <<A; cat <<A', '1', 'A', '2', 'A')).heredocs).toMatchObject([
      { content: '1\n' },
      { content: '2\n' },
    ]);
    expect(problemsOf(lines('FROM x', 'COPY <<A <<A /x', '1', 'A', '2', 'A'))).toEqual([
      '2:10 two heredocs are called "A"',
    ]);
  });

  test.each([
    ['without an end', lines('FROM x', 'RUN cat <<EOF', 'a', 'COPPY'), ['2:9 the heredoc "EOF" has no end']],
    [
      'with an end that has blanks: the rest is read',
      lines('FROM x', 'RUN <<EOF', 'a', '  EOF', 'COPPY'),
      ['2:5 the heredoc "EOF" has no end', '5:1 unknown instruction "COPPY"'],
    ],
    [
      'of a misspelt instruction is not read as instructions',
      lines('FROM x', 'RNU <<EOF', 'a', 'EOF'),
      ['2:1 unknown instruction "RNU"'],
    ],
    ['as a destination', lines('FROM x', 'COPY a <<EOF', 'EOF'), ['2:8 a heredoc cannot be the destination']],
    ['with --from', lines('FROM x', 'COPY --from=y <<EOF a', 'EOF'), ['2:1 COPY --from cannot have a heredoc']],
    [
      'with a bad substitution in its content',
      lines('FROM x', 'COPY <<-EOF a', '\tgood', '\tb ${c!} d', '\tEOF'),
      ['4:4 bad substitution "${c!": unknown modifier "!"'],
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });

  test('a quoted one, and one of RUN, may hold anything', () => {
    expect(problemsOf(lines('FROM x', "COPY <<'E' a", '${{ x }}', 'E', 'RUN <<E', '${{ x }}', 'E'))).toEqual([]);
  });
});
