import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import { parseKubefile } from '../../../src/kubefile-parser/parse.js';
import { printKubefile } from '../../../src/kubefile-parser/print.js';
import { lines, parse, withoutLayout } from './kit.js';

test('one instruction a line, a blank line between stages', () => {
  const text = lines(
    '# Escape = `',
    '# dialect=docker',
    'arg A=1',
    'from scratch as Base',
    '  # gone',
    'copy --chown=1:1 `',
    '  a b /c/',
    'run --mount=type=cache,dst=/x,sharing=locked <<-EOF sh',
  );
  expect(printKubefile(parse(`${text}\t\tls\n\tEOF\nFROM base\nENV a b  c\nCMD ["x"]`))).toBe(
    lines(
      '# escape=`',
      '# dialect=docker',
      '',
      'ARG A=1',
      '',
      'FROM scratch AS base',
      'COPY --chown=1:1 a b /c/',
      'RUN --mount=type=cache,target=/x,sharing=locked <<-EOF sh',
      'ls',
      'EOF',
      '',
      'FROM base',
      'ENV a b  c',
      'CMD ["x"]',
    ),
  );
});

test('a line that continuations made longer than a line may be is broken again', () => {
  const kubefile = parse(`FROM x\nRUN ${'ab # \u{1f600}\\\\c \\\n'.repeat(8_000)}d`);
  const printed = printKubefile(kubefile);
  expect(Math.max(...printed.split('\n').map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(65_535);
  expect(withoutLayout(parse(printed))).toEqual(withoutLayout(kubefile));
});

/** Words that are read differently when only a little goes wrong. */
const wordPart = fc.constantFrom(
  'a',
  'rootfs/*',
  '.',
  '"a b"',
  "'c d'",
  '\\ ',
  '\\"',
  '\\\\',
  '\\$',
  '$v',
  '${v}',
  '${v:-a b}',
  '${v//x/\\/}',
  '${v#"*"}',
  '=',
  'k=v',
  ',',
  '#',
  '[',
  ']',
  '[]',
  '--',
  '<',
  '<<',
  '中',
  '\u00a0',
  '\u{1f600}',
  '`x',
  '\\\n',
  '\\\n#c\n',
  '\\\n  # d\n',
  ';',
  '\f',
  '\r',
);
const word = fc.array(wordPart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
const words = fc.array(word, { minLength: 2, maxLength: 4 }).map((parts) => parts.join(' '));
const json = fc
  .array(
    fc.oneof(
      fc.string({ maxLength: 6 }),
      fc.constantFrom('a b', '--x', '<<EOF', "it's", '"', '\n', '\\', '$v', '', '[]', '\ud800', '\0', 'a\u00a0'),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((strings) => JSON.stringify(strings));
const args = fc.oneof(words, json);
const heredoc = fc
  .tuple(
    fc.constantFrom('<<EOF', '<<-EOF', "<<'EOF'", '<<-"EOF"', '<<\\EOF', '3<<EOF', '<< EOF'),
    fc.array(fc.constantFrom('a', '\tb', '$v', '"q"', '', 'EOF ', '\t# x'), { maxLength: 3 }),
  )
  .map(([marker, content]) => ({ marker, content: [...content, 'EOF', ''].join('\n') }));
const flags = (...choices: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.array(fc.oneof(...choices), { maxLength: 2 }).map((given) => given.map((flag) => `${flag} `).join(''));
const line = (...parts: (string | fc.Arbitrary<string>)[]): fc.Arbitrary<string> =>
  fc.tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part))).map((text) => text.join(''));

const statement = fc.oneof(
  line(
    fc.constantFrom('COPY ', 'ADD '),
    flags(
      word.map((w) => `--chown=${w}`),
      word.map((w) => `--exclude=${w}`),
      fc.constant('--link'),
    ),
    args,
  ),
  line('COPY ', fc.constantFrom('--from=b ', '--from=0 ', '--from="x y" ', "--from='$a' ", '--parents '), args),
  fc.tuple(heredoc, word).map(([{ marker, content }, destination]) => `COPY ${marker} ${destination}\n${content}`),
  fc
    .tuple(heredoc, fc.constantFrom('', 'cat ', "it's "), fc.constantFrom('', ' | sh', ';x'))
    .map(([{ marker, content }, before, behind]) => `RUN ${before}${marker}${behind}\n${content}`),
  line(
    'RUN ',
    flags(
      word.map((w) => `--mount=target=${w},rw`),
      word.map((w) => `--mount=type=cache,target=/x,id=${w},mode=0700,sharing=locked,from=b,ro`),
      word.map((w) => `--mount="type=tmpfs,target=${w},size=1g"`),
      word.map((w) => `--mount=type=secret,'target=${w}',required,uid=7`),
      fc.constantFrom('--network=none', '--isolation=host', '--security=sandbox'),
    ),
    args,
  ),
  line(
    fc.constantFrom(
      'CMD ',
      'ENTRYPOINT ',
      'LAUNCH ',
      'EXPOSE ',
      'ONBUILD RUN ',
      'WORKDIR ',
      'USER ',
      'MAINTAINER ',
      'KUBEVERSION ',
    ),
    args,
  ),
  line(fc.constantFrom('SHELL ', 'CMDS ', 'APPCMDS n '), json),
  line(
    fc.constantFrom('ENV ', 'LABEL ', 'ARG ', 'APPENV n '),
    fc.oneof(
      words,
      fc.array(line(word, '=', word), { minLength: 1, maxLength: 3 }).map((pairs) => pairs.join(' ')),
    ),
  ),
  line(fc.constantFrom('APP ', 'CNI '), word, ' local://', word, ' $', word),
  line('FROM ', fc.constantFrom('', '--platform=${P} ', '-- '), word, fc.constantFrom('', ' AS z', ' as "q"')),
);
const kubefileText = fc
  .tuple(
    fc.constantFrom('', '', '# escape=`\n', '# dialect=docker\n', '# syntax=y z\n'),
    fc.array(statement, { minLength: 1, maxLength: 3 }),
    fc.boolean(),
  )
  .map(([directive, statements, crlf]) => {
    const text = `${directive}ARG g=1\nFROM scratch AS a\nFROM scratch AS b\nFROM a\n${statements.join('\n')}`;
    return crlf ? text.replaceAll('\n', '\r\n') : text;
  });

describe('for any Kubefile', () => {
  test('reading what is printed gives the same again', () => {
    let read = 0;
    fc.assert(
      fc.property(kubefileText, (text) => {
        let kubefile: ReturnType<typeof parse>;
        try {
          kubefile = parseKubefile(text, 'Kubefile');
        } catch (error) {
          if (error instanceof SlipwayError) return;
          throw error;
        }
        read++;
        const printed = printKubefile(kubefile);
        expect(withoutLayout(parse(printed))).toEqual(withoutLayout(kubefile));
        expect(printKubefile(parse(printed))).toBe(printed);
      }),
      { numRuns: 1_000 },
    );
    expect(read).toBeGreaterThan(300);
  });
});
