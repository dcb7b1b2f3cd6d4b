import { describe, expect, test } from 'vitest';
import { instruction, lines, parse, raws, warningsOf } from './kit.js';

describe('COPY and ADD', () => {
  test('all flags of COPY', () => {
    const copy = instruction(
      'COPY',
      'COPY --chown=1:$G --chmod=0755 --exclude=*.md --exclude="a b" --parents --link --from=base:1 a "b c" ${D:-x y}/',
    );
    expect(copy).toMatchObject({
      chown: { raw: '1:$G', position: { line: 2, column: 14 } },
      chmod: { raw: '0755' },
      exclude: [{ raw: '*.md' }, { raw: '"a b"', position: { line: 2, column: 57 } }],
      parents: true,
      link: true,
      from: { name: 'base:1' },
    });
    expect(raws(copy.sources)).toEqual(['a', '"b c"']);
    expect(copy.destination.raw).toBe('${D:-x y}/');
  });

  test('without flags', () => {
    const copy = instruction('COPY', 'COPY a b');
    expect(copy).toEqual({
      kind: 'COPY',
      position: { line: 2, column: 1, endLine: 2 },
      source: 'COPY a b',
      sources: [{ raw: 'a', position: { line: 2, column: 6 } }],
      heredocs: [],
      destination: { raw: 'b', position: { line: 2, column: 8 } },
      exclude: [],
      link: false,
      parents: false,
    });
  });

  test('switches can be written out', () => {
    expect(instruction('COPY', 'COPY --link=TRUE --parents=false a b')).toMatchObject({ link: true, parents: false });
  });

  test('what follows -- is no flag', () => {
    expect(raws(instruction('COPY', 'COPY --link -- --from b').sources)).toEqual(['--from']);
  });

  test('all flags of ADD', () => {
    expect(
      instruction('ADD', 'ADD --checksum=sha256:ab --keep-git-dir --chmod=644 https://x/y.git#v1:sub /d'),
    ).toMatchObject({
      checksum: { raw: 'sha256:ab' },
      keepGitDir: true,
      chmod: { raw: '644' },
      sources: [{ raw: 'https://x/y.git#v1:sub' }],
    });
  });

  test('the JSON form: words know their own place, quotes in them are no quotes', () => {
    const copy = instruction('COPY', 'COPY [ "a b", "it\'s \\"x\\"", "c\\\\$d" ]');
    expect(copy.sources).toEqual([
      { raw: 'a b', position: { line: 2, column: 8 } },
      { raw: 'it\\\'s \\"x\\"', position: { line: 2, column: 15 } },
    ]);
    expect(copy.destination.raw).toBe('c\\$d');
  });

  test('invalid JSON is read as words, with a warning', () => {
    const text = "FROM x\nCOPY ['a', 'b']";
    expect(raws(instruction('COPY', text).sources)).toEqual(["['a',"]);
    expect(warningsOf(text)).toEqual(['2:6 invalid-json']);
  });

  test('a comment behind it is none, and is warned about', () => {
    expect(warningsOf('FROM x\nCOPY chart . # copy files')).toEqual(['2:14 inline-comment']);
  });
});

describe('RUN', () => {
  test('shell form reaches the shell as it is', () => {
    const text = `RUN echo "a  $b" '\${c!}' \\\\ # d "`;
    expect(instruction('RUN', text)).toMatchObject({
      command: { form: 'shell', text: text.slice(4) },
      heredocs: [],
      mounts: [],
    });
  });

  test('exec form', () => {
    expect(instruction('RUN', 'RUN [ "a", "b \\u00e9" ]').command).toEqual({ form: 'exec', args: ['a', 'b é'] });
  });

  test('flags; the default network is nothing said', () => {
    expect(instruction('RUN', 'RUN --network=none --isolation=host --security=sandbox ls')).toMatchObject({
      network: 'none',
      isolation: 'host',
      security: 'sandbox',
      command: { text: 'ls' },
    });
    expect(instruction('RUN', 'RUN --network=default ls')).not.toHaveProperty('network');
  });

  test.each([
    ["RUN ['a', 'b']", true],
    ['RUN ["a" "b"]', true],
    ['RUN ["a",]', true],
    ['RUN [a', true],
    ['RUN [ "a", b ]', true],
    ['RUN [ -f /x ] && y', false],
    ['RUN [ "$a" = "b" ] || z', false],
    ['RUN [[ -n "$a" ]]', false],
  ])('%s is text for the shell; a warning: %s', (text, warned) => {
    expect(instruction('RUN', text).command).toEqual({ form: 'shell', text: text.slice(4) });
    expect(warningsOf(`FROM x\n${text}`)).toEqual(warned ? ['2:5 invalid-json'] : []);
  });
});

describe('RUN --mount', () => {
  const mountOf = (options: string): unknown => instruction('RUN', `RUN --mount=${options} ls`).mounts[0];
  const word = (raw: string, column: number): unknown => ({ raw, position: { line: 2, column } });

  test.each<[string, unknown]>([
    ['target=/x', { type: 'bind', target: word('/x', 20), readOnly: true }],
    [
      'type=bind,from=img:1,source=$S,dst=/x,rw',
      {
        type: 'bind',
        from: { name: 'img:1', position: { line: 2, column: 28 } },
        source: word('$S', 41),
        target: word('/x', 48),
        readOnly: false,
      },
    ],
    ['type=cache,target=/c', { type: 'cache', target: word('/c', 31), sharing: 'shared', readOnly: false }],
    [
      'TYPE=Cache,destination=/c,id=${K},sharing=locked,mode=0700,uid=1,gid=2,src=s,ro=true',
      {
        type: 'cache',
        target: word('/c', 36),
        id: word('${K}', 42),
        sharing: 'locked',
        mode: 0o700,
        uid: 1,
        gid: 2,
        source: word('s', 88),
        readOnly: true,
      },
    ],
    ['type=tmpfs,target=/t,size=1.5g', { type: 'tmpfs', target: word('/t', 31), size: 1_610_612_736 }],
    ['type=tmpfs,target=/t,size=64', { type: 'tmpfs', target: word('/t', 31), size: 64 }],
    ['type=secret,id=token', { type: 'secret', id: word('token', 28), required: false }],
    [
      'type=secret,source=token,target=/t,env=TOKEN,required,mode=400',
      {
        type: 'secret',
        id: word('token', 32),
        target: word('/t', 45),
        env: word('TOKEN', 52),
        required: true,
        mode: 0o400,
      },
    ],
    ['"type=cache,target=/a b"', { type: 'cache', target: word('"/a b"', 32), sharing: 'shared', readOnly: false }],
    [`type=cache,'target=/a,b'`, { type: 'cache', target: word(`'/a,b'`, 32), sharing: 'shared', readOnly: false }],
    ['type=cache,target="/a,b"', { type: 'cache', target: word('"/a,b"', 31), sharing: 'shared', readOnly: false }],
  ])('%s', (options, expected) => {
    expect(mountOf(options)).toEqual(expected);
  });
});

describe('names and values', () => {
  const pairsOf = (text: string): unknown =>
    instruction('ENV', text).pairs.map(({ key, value }) => [key.raw, value.raw]);

  test.each<[string, unknown]>([
    ['ENV a=b', [['a', 'b']]],
    [
      'ENV a=b c="d e" f=g\\ h i=',
      [
        ['a', 'b'],
        ['c', '"d e"'],
        ['f', 'g\\ h'],
        ['i', ''],
      ],
    ],
    ['ENV a=${b:-c d=e}', [['a', '${b:-c d=e}']]],
    ['ENV "a b"=c=d', [['"a b"', 'c=d']]],
    ['ENV a b', [['a', 'b']]],
    ['ENV a  b=c  "d"', [['a', 'b=c  "d"']]],
    ['ENV $k=v', [['$k', 'v']]],
  ])('%s', (text, expected) => {
    expect(pairsOf(text)).toEqual(expected);
  });

  test('LABEL is read like ENV, and every word knows its place', () => {
    expect(instruction('LABEL', 'LABEL "com.example.a"="b c" d=e').pairs).toEqual([
      {
        key: { raw: '"com.example.a"', position: { line: 2, column: 7 } },
        value: { raw: '"b c"', position: { line: 2, column: 23 } },
      },
      { key: { raw: 'd', position: { line: 2, column: 29 } }, value: { raw: 'e', position: { line: 2, column: 31 } } },
    ]);
  });

  const argsOf = (text: string): unknown =>
    instruction('ARG', text).args.map(({ name, default: value }) =>
      value === undefined ? [name.raw] : [name.raw, value.raw],
    );

  test.each<[string, unknown]>([
    ['ARG a', [['a']]],
    [
      'ARG a= b=c d="e f"',
      [
        ['a', ''],
        ['b', 'c'],
        ['d', '"e f"'],
      ],
    ],
    // sealer's form, only where it cannot well be anything else
    [
      'ARG a=1,b=$x',
      [
        ['a', '1'],
        ['b', '$x'],
      ],
    ],
    [
      'ARG a=1, b=2,',
      [
        ['a', '1'],
        ['b', '2,'],
      ],
    ],
    ['ARG a=1,2', [['a', '1,2']]],
    ['ARG a="1,b=2"', [['a', '"1,b=2"']]],
    ['ARG a=x=1,b=2', [['a', 'x=1,b=2']]],
    ['ARG a=http://m,http://n', [['a', 'http://m,http://n']]],
    ['# dialect=docker\nFROM x\nARG a=1,b=2', [['a', '1,b=2']]],
  ])('%s', (text, expected) => {
    expect(argsOf(text)).toEqual(expected);
  });

  test("sealer's form of ARG is warned about, and its words know their places", () => {
    const text = 'FROM x\nARG a=1,b=2';
    expect(warningsOf(text)).toEqual(['2:5 comma-separated-arg']);
    expect(instruction('ARG', text).args[1]).toEqual({
      name: { raw: 'b', position: { line: 2, column: 9 } },
      default: { raw: '2', position: { line: 2, column: 11 } },
    });
  });
});

describe('CMD and its relatives', () => {
  test('CMD may be repeated, in shell or exec form', () => {
    expect(parse(lines('FROM x', 'CMD a && b', 'CMD ["c", "d"]')).stages[0]?.instructions).toMatchObject([
      { kind: 'CMD', command: { form: 'shell', text: 'a && b' } },
      { kind: 'CMD', command: { form: 'exec', args: ['c', 'd'] } },
    ]);
  });

  test('a comma does not part commands; one that could be meant so is warned about', () => {
    const text = 'FROM x\nCMD kubectl apply -f a, helm install b';
    expect(instruction('CMD', text).command).toEqual({ form: 'shell', text: 'kubectl apply -f a, helm install b' });
    expect(warningsOf(text)).toEqual(['2:23 comma-separated-cmd']);
    expect(warningsOf('FROM x\nCMD kubectl get pods -o custom-columns=A:.a,B:.b; echo "a, b" c\\, d')).toEqual([]);
    expect(warningsOf(`# dialect=docker\n${text}`)).toEqual([]);
  });

  test('ENTRYPOINT, also an empty one; SHELL', () => {
    expect(instruction('ENTRYPOINT', 'ENTRYPOINT []').command).toEqual({ form: 'exec', args: [] });
    expect(instruction('ENTRYPOINT', 'ENTRYPOINT a $b').command).toEqual({ form: 'shell', text: 'a $b' });
    expect(instruction('SHELL', 'SHELL ["/bin/bash", "-c"]').shell).toEqual(['/bin/bash', '-c']);
  });

  test('CMDS', () => {
    expect(instruction('CMDS', 'CMDS ["a b", "c"]').commands).toEqual(['a b', 'c']);
  });
});

describe('the rest of the line', () => {
  test('WORKDIR with blanks, USER, MAINTAINER', () => {
    expect(instruction('WORKDIR', 'WORKDIR  /a b/${c:-d e} ').path).toEqual({
      raw: '/a b/${c:-d e}',
      position: { line: 2, column: 10 },
    });
    expect(instruction('USER', 'USER 1000:$G').user.raw).toBe('1000:$G');
    expect(instruction('MAINTAINER', "MAINTAINER O'Neil <a@b> ${").name).toBe("O'Neil <a@b> ${");
  });

  test.each([
    ['EXPOSE 80/tcp', 'EXPOSE', '80/tcp'],
    ['volume ["/a"]', 'VOLUME', '["/a"]'],
    ['HEALTHCHECK --interval=5s CMD x', 'HEALTHCHECK', '--interval=5s CMD x'],
    ['ONBUILD COPY ${', 'ONBUILD', 'COPY ${'],
    ['STOPSIGNAL 9', 'STOPSIGNAL', '9'],
  ])('%s is not used, which is said', (text, name, rest) => {
    expect(instruction('IGNORED', text)).toMatchObject({ name, text: rest });
    expect(warningsOf(`FROM x\n${text}`)).toEqual(['2:1 ignored-instruction']);
  });
});

describe('applications', () => {
  test('CNI, CSI, schemes, variables, the JSON form', () => {
    const { stages } = parse(
      lines(
        'FROM scratch',
        'CNI calico https://x/y.yaml',
        'CSI ["nfs", "oci://a/b", "helm://c"]',
        'APP $NAME local://a ${SRC} "$X"/y HTTP://z',
        'APPENV $NAME a="b c"',
      ),
    );
    expect(stages[0]?.instructions).toMatchObject([
      { kind: 'CNI', name: { raw: 'calico' }, sources: [{ raw: 'https://x/y.yaml' }] },
      { kind: 'CSI', name: { raw: 'nfs' }, sources: [{ raw: 'oci://a/b' }, { raw: 'helm://c' }] },
      { kind: 'APP', name: { raw: '$NAME' }, sources: [{}, { raw: '${SRC}' }, { raw: '"$X"/y' }, { raw: 'HTTP://z' }] },
      { kind: 'APPENV', pairs: [{ key: { raw: 'a' }, value: { raw: '"b c"' } }] },
    ]);
  });
});
