import { describe, expect, test } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import { parseKubefile, parseKubefileLenient } from '../../../src/kubefile-parser/parse.js';
import { lines, problemsOf } from './kit.js';

/** Text behind `FROM x`, and what is said about it: `column message`, the line being the second. */
const MISTAKES: readonly (readonly [string, ...string[]])[] = [
  // instructions
  ['COPPY a b', '1 unknown instruction "COPPY"'],
  ['  frobnicate a b', '3 unknown instruction "frobnicate"'],
  ['COPY\u00a0a b', '1 unknown instruction "COPY\u00a0a"'],
  // words
  ['COPY ${a b', '6 the closing } is missing'],
  ['COPY a ${', '8 the closing } is missing'],
  ['COPY a ${b:-${c}', '8 the closing } is missing'],
  ['COPY a ${}', '8 bad substitution "${}": no name'],
  ['COPY a b${.c}', '9 bad substitution "${.": no name'],
  ['COPY a ${v!}', '8 bad substitution "${v!": unknown modifier "!"'],
  ['COPY a ${v=x}', '8 bad substitution "${v=": unknown modifier "="'],
  ['COPY a ${v:x}', '8 bad substitution "${v:x": unknown modifier ":x"'],
  ['COPY a ${v:', '8 the closing } is missing'],
  ['COPY a ${v/b}', '13 a "/" is missing before this "}"'],
  ['COPY a ${v/b/c', '8 the closing } is missing'],
  ["COPY it's b", "8 the closing ' is missing"],
  ['COPY "a b', '6 the closing " is missing'],
  [
    'COPY ${a!} ${b!} "c',
    '6 bad substitution "${a!": unknown modifier "!"',
    '12 bad substitution "${b!": unknown modifier "!"',
    '18 the closing " is missing',
  ],
  [`COPY ${'${a:-'.repeat(51)}${'}'.repeat(51)} b`, '256 more than 50 substitutions inside one another'],
  ['WORKDIR /a ${b', '12 the closing } is missing'],
  ['COPY ["a", "${b"]', '12 the closing } is missing'],
  // flags
  ['COPY --chwon=1 a b', '6 COPY has no flag "--chwon"'],
  ['ADD --from=x a b', '5 ADD has no flag "--from"'],
  ['COPY --link --chown=1 --link=false a b', '23 --link is given twice'],
  ['COPY --chown a b', '6 --chown has no value'],
  ['COPY --chown= a b', '6 --chown has no value'],
  ['COPY --link=maybe a b', '6 --link is true or false, not "maybe"'],
  ['COPY --from=${X} a b', '13 from takes no variables: "${X}"'],
  ['COPY --chown=${X a b', '14 the closing } is missing'],
  ['RUN --network=nnoe ls', '15 --network cannot be "nnoe"'],
  ['RUN --isolation=$X ls', '17 --isolation cannot be "$X"'],
  ['RUN --security=maybe ls', '16 --security cannot be "maybe"'],
  ['CMD --help', '5 CMD has no flag "--help"', '1 CMD needs a command'],
  ['WORKDIR --x /a', '9 WORKDIR has no flag "--x"'],
  // mounts
  ['RUN --mount=type=cahce,target=/x ls', '13 there is no mount of type "cahce"'],
  ['RUN --mount=type=ssh ls', '13 there is no mount of type "ssh"'],
  ['RUN --mount=type=cache ls', '13 a cache mount needs target=…'],
  ['RUN --mount=target=/x,typ=bind ls', '23 a bind mount has no option "typ"'],
  ['RUN --mount=type=tmpfs,target=/x,id=a ls', '34 a tmpfs mount has no option "id"'],
  ['RUN --mount=type=bind,target=/x,mode=0700 ls', '33 a bind mount has no option "mode"'],
  [
    'RUN --mount=type=cache,target=/x,shrng=a,siz=1 ls',
    '34 a cache mount has no option "shrng"',
    '42 a cache mount has no option "siz"',
  ],
  ['RUN --mount=type=cache,target=/x,sharing=all ls', '42 sharing cannot be "all"'],
  ['RUN --mount=type=cache,target=/x,mode=9 ls', '39 mode cannot be "9"'],
  ['RUN --mount=type=cache,target=/x,uid=$U ls', '38 uid cannot be "$U"'],
  ['RUN --mount=type=tmpfs,target=/x,size=much ls', '39 size cannot be "much"'],
  ['RUN --mount=type=cache,target=/x,dst=/y ls', '34 the option target is given twice'],
  ['RUN --mount=type=cache,target,id= ls', '24 the option target has no value', '31 the option id has no value'],
  ['RUN --mount=type=cache,target=/x,ro=perhaps ls', '37 readonly is true or false, not "perhaps"'],
  ['RUN --mount=type=bind,target=/x,from=$Y ls', '38 from takes no variables: "$Y"'],
  ['RUN --mount=type=secret ls', '13 a secret mount needs id=…'],
  ['RUN --mount=type=cache,target=/x, ls', '34 a cache mount has no option ""'],
  // arguments
  ['COPY', '1 COPY needs at least one source and a destination'],
  ['COPY a', '1 COPY needs at least one source and a destination'],
  ['ADD --link a', '1 ADD needs at least one source and a destination'],
  ['COPY []', '1 COPY needs at least one source and a destination'],
  ['COPY ["a", 1]', '6 the JSON form may hold only strings'],
  ['RUN', '1 RUN needs a command'],
  ['RUN []', '1 RUN needs a command'],
  ['RUN ["a", ["b"]]', '5 the JSON form may hold only strings'],
  ['CMD', '1 CMD needs a command'],
  ['CMD []', '1 CMD needs a command'],
  ['ENTRYPOINT', '1 ENTRYPOINT needs a command'],
  ['CMDS', '1 CMDS needs a JSON array'],
  ['CMDS kubectl apply', '6 CMDS takes only a JSON array of strings'],
  ['CMDS ["a",]', '6 CMDS takes only a JSON array of strings'],
  ['CMDS []', '6 the array is empty'],
  ['LAUNCH', '1 LAUNCH needs the names of applications'],
  ['LAUNCH ["a", ""]', '1 LAUNCH needs the names of applications'],
  ['LAUNCH a $b', '10 LAUNCH takes no variables: "$b"'],
  ['SHELL /bin/sh -c', '7 SHELL takes only a JSON array of strings'],
  ['BASE', '1 BASE needs a directory and the word cache'],
  ['BASE rootfs', '1 BASE needs a directory and the word cache'],
  ['BASE rootfs cahce', '13 BASE cannot do "cahce"'],
  ['BASE rootfs cache now', '19 BASE does not take "now" here'],
  ['ARG', '1 ARG needs a name'],
  ['ARG a =b', '7 the name before = is missing'],
  ['ENV', '1 ENV needs a name and a value'],
  ['ENV a', '1 ENV needs a value'],
  ['ENV a=b c', '9 there is no = in "c"'],
  ['ENV "a=b" c=d', '5 there is no = in ""a=b""'],
  ['LABEL =b', '7 the name before = is missing'],
  ['MAINTAINER', '1 MAINTAINER needs a name'],
  ['WORKDIR', '1 WORKDIR needs a path'],
  ['USER', '1 USER needs a user'],
  ['EXPOSE', '1 EXPOSE needs an argument'],
  ['KUBEVERSION', '1 KUBEVERSION needs a version constraint'],
  ['APP', '1 APP needs a name and at least one source'],
  ['APP a', '1 APP needs a name and at least one source'],
  ['APP a b.yaml', '7 the source "b.yaml" has no scheme that is known'],
  [
    'CNI a lcoal://b https://c ftp://d',
    '7 the source "lcoal://b" has no scheme that is known',
    '27 the source "ftp://d" has no scheme that is known',
  ],
  ['CSI local://a local://b', '5 "local://a" is not a name'],
  ['APPCMDS', '1 APPCMDS needs the name of an application'],
  ['APPCMDS ["a"]', '9 the name of the application is missing'],
  ['APPCMDS a', '1 APPCMDS needs a JSON array'],
  ['APPCMDS a kubectl', '11 APPCMDS takes only a JSON array of strings'],
  ['APPENV a', '1 APPENV needs a name and at least one KEY=VALUE'],
  ['APPENV a b', '10 there is no = in "b"'],
  // FROM
  ['FROM', '1 FROM needs an image'],
  ['FROM a b', '8 FROM does not take "b" here'],
  ['FROM a # base image', '8 FROM does not take "#" here'],
  ['FROM a AS', '8 the name behind AS is missing'],
  ['FROM a AS b c', '13 FROM does not take "c" here'],
  ['FROM a AS 1b', '11 "1b" cannot be the name of a stage'],
  ['FROM a AS $b', '11 "$b" cannot be the name of a stage'],
  ['FROM a AS scratch', '11 a stage cannot be called scratch'],
  ['FROM --platfrom=a b', '6 FROM has no flag "--platfrom"'],
  ['FORM b', '1 unknown instruction "FORM"'],
];

test.each(MISTAKES.map(([text, ...expected]) => ({ text, expected })))('$text', ({ text, expected }) => {
  const sorted = [...expected].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  expect(problemsOf(`FROM x\n${text}\n`)).toEqual(sorted.map((problem) => `2:${problem}`));
});

test.each<[string, string, string[]]>([
  ['nothing at all', '', ['1:1 the file has no instructions']],
  ['only comments', '# a\n\n# b\n', ['1:1 the file has no instructions']],
  ['only arguments', 'ARG a\n', ['1:1 there is no FROM']],
  [
    'instructions before the first FROM: told once, mistakes in them as well',
    'ARG a\nCOPY a b\nRUN b\nCOPY\nFROM x',
    ['2:1 COPY before the first FROM', '4:1 COPY needs at least one source and a destination'],
  ],
  ['a misspelt FROM does not make the rest homeless', 'FRMO x\nCOPY a b', ['1:1 unknown instruction "FRMO"']],
])('%s', (_, text, expected) => {
  expect(problemsOf(text)).toEqual(expected);
});

describe('the error', () => {
  const text = lines(
    'FROM kubernetes:v1.19.8',
    'COPPY rootfs/* .',
    'RUN echo 镜像 \\',
    '  && true',
    '\tCOPY --chwon=镜 a\t${b!} .',
  );

  function errorOf(file: string): SlipwayError {
    try {
      parseKubefile(file, 'deploy/Kubefile');
    } catch (error) {
      if (error instanceof SlipwayError) return error;
      throw error;
    }
    throw new Error('it was accepted');
  }

  test('lists every mistake with its place, the line, a caret and what to write', () => {
    expect(errorOf(text).message).toBe(
      [
        'deploy/Kubefile:2:1: unknown instruction "COPPY"',
        '    COPPY rootfs/* .',
        '    ^',
        '    did you mean COPY?',
        'deploy/Kubefile:5:7: COPY has no flag "--chwon"',
        '    \tCOPY --chwon=镜 a\t${b!} .',
        '    \t     ^',
        '    did you mean --chown?',
        'deploy/Kubefile:5:19: bad substitution "${b!": unknown modifier "!"',
        '    \tCOPY --chwon=镜 a\t${b!} .',
        // As wide as the text before it: a tab stays a tab, the East Asian character takes two columns.
        `    \t${' '.repeat(17)}\t^`,
        '    the forms are ${v} ${v:-d} ${v-d} ${v:+a} ${v+a} ${v:?m} ${v?m} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r}',
      ].join('\n'),
    );
  });

  test('has the same as data', () => {
    const error = errorOf(text);
    expect(error.code).toBe('E_KUBEFILE_SYNTAX');
    expect(error.exitCode).toBe(2);
    expect(error.hint).toContain('nothing was built');
    expect(error.details?.problems).toMatchObject([
      {
        file: 'deploy/Kubefile',
        line: 2,
        column: 1,
        message: 'unknown instruction "COPPY"',
        hint: 'did you mean COPY?',
      },
      { line: 5, column: 7 },
      { line: 5, column: 19 },
    ]);
  });

  test('shows the part of a long line where the mistake is', () => {
    const [, line, under] = errorOf(`FROM x\nCOPY ${'a'.repeat(500)} \${b!} ${'c'.repeat(500)}`).message.split('\n');
    expect(line).toMatch(/^ {4}…a+ \$\{b!\} c+…$/);
    expect(line?.length).toBeLessThan(140);
    expect(line?.[under?.indexOf('^') ?? 0]).toBe('$');
  });

  test('sends nothing to the terminal that would control it', () => {
    expect(errorOf('FROM x\nCO\u001b[2JPY \u202e\u0007 b').message).toMatch(/^[\P{Cc}\n]+$/u);
  });

  test('of a file full of mistakes is of bounded length, its data is complete', () => {
    const error = errorOf('COPPY\n'.repeat(250));
    expect(error.message.split('\n').at(-1)).toBe('… and 150 more mistakes');
    expect(error.details?.problems).toHaveLength(250);
  });

  test('hides credentials in URLs', () => {
    expect(errorOf('FROM x\nADDD https://me:secret@example.com/a b').message).not.toContain('secret');
  });
});

test("what Docker's dialect does not have is a mistake like any other, and known before anything is built", () => {
  const only = [
    'BASE rootfs cache',
    'CMDS ["x"]',
    'APP x local://x',
    'APPENV x A=1',
    'KUBEVERSION >=1.20',
    'LAUNCH ["x"]',
  ];
  const { problems } = parseKubefileLenient(`# dialect=docker\nFROM x\n${only.join('\n')}\nCMD x\n`, 'Kubefile');
  expect(problems.map(({ line, message }) => `${line} ${message}`)).toEqual(
    only.map((text, index) => `${index + 3} Docker has no instruction ${text.split(' ')[0]}`),
  );
});

test('a linter gets the rest of the tree, problems and warnings in the order of the file', () => {
  const { kubefile, problems, warnings } = parseKubefileLenient(
    lines('FROM x', 'EXPOSE 80', 'COPPY', 'RUN a', 'RUN ["a",'),
    'Kubefile',
  );
  expect(problems.map(({ line }) => line)).toEqual([3]);
  expect(warnings).toMatchObject([
    { rule: 'ignored-instruction', line: 2, column: 1 },
    { rule: 'invalid-json', line: 5, column: 5, file: 'Kubefile' },
  ]);
  expect(kubefile.stages[0]?.instructions.map(({ kind }) => kind)).toEqual(['IGNORED', 'RUN', 'RUN']);
});

describe('suggestions', () => {
  test.each([
    ['COPPY a b', 'did you mean COPY?'],
    ['APPCMD a ["b"]', 'did you mean APPCMDS?'],
    ['kubeversoin 1', 'did you mean KUBEVERSION?'],
    [
      '&& echo',
      'a line begins with an instruction such as FROM, COPY or RUN; a line that goes on ends with the escape character',
    ],
    ['COPY\u00a0a b', 'there is a special blank in it (U+00A0); type an ordinary one'],
    ['RUN --netwrok=none ls', 'did you mean --network?'],
    ['RUN --privileged ls', 'its flags are --network --mount --isolation --security'],
    ['CMD --help x', 'it has no flags; what begins with -- can follow the word --: CMD -- --help'],
    ['RUN --network=nnoe ls', 'did you mean --network=none?'],
    ['RUN --mount=type=cahce,target=/x ls', 'did you mean type=cache?'],
    ['RUN --mount=type=cache,taget=/x ls', 'did you mean target?'],
    ['APP a lcoal://b', 'did you mean local://?'],
    ['APP a b.yaml', 'a path in the context is local://b.yaml'],
    ['FROM a # base', 'a comment stands on a line of its own'],
    ['RUN <<EOF\nx\nEOF ', 'line 4 has blanks around "EOF"; <<- allows tabs before it'],
  ])('%s', (text, hint) => {
    expect(parseKubefileLenient(`FROM x\n${text}`, 'Kubefile').problems[0]?.hint).toBe(hint);
  });
});
