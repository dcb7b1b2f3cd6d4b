import { describe, expect, test } from 'vitest';
import { RULES } from '../../../src/lint/rules.js';
import { findingsOf, lint } from './kit.js';

/** A Kubefile, and what is to be found in it. */
type Case = readonly [what: string, text: string, ...expected: string[]];

const CLEAN: readonly string[] = [
  'FROM scratch\nCOPY a b\nCMD kubectl apply -f manifests/a.yaml',
  'ARG V=1\nFROM k8s:$V AS base\nFROM base\nCOPY --from=base /x /y',
  'FROM k8s:v1@sha256:0000000000000000000000000000000000000000000000000000000000000000\nRUN ls',
  'FROM k8s:v1\nARG A\nRUN echo $A',
  'FROM k8s:v1\nARG A=1\nRUN python3 build.py --version A',
  'FROM scratch\nARG ARCH\nCOPY ${ARCH} .\nCOPY ${X:-y} .\nCOPY ${X+y}z .',
  'FROM scratch\nARG HTTP_PROXY\nRUN wget http://x',
  'FROM scratch\nENV A=1\nENV B=$A\nCOPY $B .',
  'FROM scratch AS a\nENV A=1\nFROM a\nCOPY $A .',
  'FROM scratch\nCOPY <<EOF /a\n$ARCH\nEOF',
  'FROM scratch\nCOPY <<"EOF" /a\n$NOTHING\nEOF',
  'FROM scratch\nENV PUBLIC_KEY=a TOKEN_FILE=/x KEYBOARD=de AUTHOR=me',
  'FROM scratch\nRUN cd x && ls\nRUN export A=1; ls\nRUN (cd x)\nRUN <<EOF\ncd /x\nls\nEOF',
  'FROM scratch\nRUN set -o pipefail; wget http://x | tar x\nRUN wget http://x || true\nRUN ls | wget -i -',
  'FROM scratch\nRUN ["sh", "-c", "echo $HOME && ls"]\nRUN ["awk", "{print $1}"]\nRUN ["echo", "costs 5$"]',
  'FROM scratch\nCMD for f in manifests/*; do kubectl apply -f $f; done\nENV f=x',
  'FROM scratch\nCMD curl https://example.com/home/x && ls /etc/kubernetes /usr/bin',
  'FROM scratch\nAPP a local://a\nLAUNCH a\nAPPCMDS a ["x"]\nAPPENV a B=c\nKUBEVERSION >=1.20.0 <1.31.0',
  'FROM k8s:v1\nLAUNCH whatever',
  '# dialect=docker\nFROM debian:12\nEXPOSE 80\nENTRYPOINT ["a"]\nCMD ["b"]\nARG A\nRUN echo $A',
  'from scratch\ncopy a b',
  'FROM --platform=$BUILDPLATFORM tools:v1 AS t\nFROM scratch\nCOPY --from=t a b',
  'FROM scratch\nWORKDIR a\nWORKDIR b',
  'FROM x:1\nWORKDIR /a\nWORKDIR b',
  'FROM scratch\nADD a.tar.gz /\nADD --checksum=sha256:00 https://x/y z\nADD https://github.com/a/b.git c',
];

test.each(CLEAN)('nothing to say: %j', async (text) => {
  expect(await findingsOf(text)).toEqual([]);
});

const CASES: readonly Case[] = [
  // the parser's
  ['mistakes', 'FROM scratch\nCOPPY a b\nCOPY a', '2:1 syntax', '3:1 syntax'],
  ['an empty file', '', '1:1 syntax'],
  ['a directive below', 'FROM scratch\n# escape=`\nCOPY a b', '2:1 misplaced-directive'],
  ['an empty continuation', 'FROM scratch\nRUN a \\\n\n b', '3:1 empty-continuation'],
  ['an instruction for nothing', 'FROM scratch\nEXPOSE 80', '2:1 ignored-instruction'],
  ['an entrypoint', 'FROM scratch\nENTRYPOINT ["a"]', '2:1 ignored-instruction (info)'],
  // variables
  ['undeclared', 'FROM scratch\nCOPY $A .', '2:6 undefined-variable'],
  ['undeclared in a heredoc', 'FROM scratch\nCOPY <<EOF /a\n$A\nEOF', '2:6 undefined-variable'],
  ['undeclared over an image', 'FROM k8s:v1\nCOPY $SOMETHING .', '2:6 undefined-variable (info)'],
  ['misspelt over an image', 'FROM k8s:v1\nCOPY $ARHC .', '2:6 undefined-variable'],
  ['a global ARG in a stage', 'ARG A=1\nFROM x:$A\nCOPY $A .', '3:6 undefined-variable'],
  ['an ARG of another stage', 'FROM scratch AS a\nARG A=1\nRUN $A\nFROM a\nCOPY $A .', '5:6 undefined-variable'],
  ['undeclared in FROM', 'FROM k8s:$V', '1:6 undefined-variable'],
  ['no default in FROM', 'ARG V\nFROM k8s:$V', '2:6 unset-variable (info)'],
  ['no default in a stage', 'FROM scratch\nARG V\nCOPY $V .', '3:6 unset-variable (info)'],
  ['unused', 'FROM scratch\nARG A=1\nCOPY a b', '2:5 unused-arg'],
  ['declared behind its use', 'FROM scratch\nCOPY $A b\nARG A', '2:6 undefined-variable', '3:5 unused-arg'],
  ['a RUN may read it', 'FROM scratch\nARG A=1\nRUN make', '2:5 unused-arg (info)'],
  ['unused global', 'ARG A=1\nFROM scratch\nCOPY a b', '1:5 unused-arg'],
  [
    'platform variables',
    'FROM scratch\nARG ARCH=amd64\nENV OS=x',
    '2:5 overrides-predefined',
    '3:5 overrides-predefined',
  ],
  ['an ARG at launch', 'FROM scratch\nARG V=1\nRUN $V\nCMD helm install --version ${V}', '4:1 arg-in-command'],
  [
    'secrets',
    'ARG NPM_TOKEN\nFROM k8s:$NPM_TOKEN\nENV dbPassword=x',
    '1:5 secret-in-variable',
    '2:6 unset-variable (info)',
    '3:5 secret-in-variable',
  ],
  // stages
  ['a stage for nothing', 'FROM scratch AS a\nFROM scratch', '1:1 unreachable-stage'],
  ['two for nothing', 'FROM scratch AS a\nFROM a AS b\nFROM scratch', '1:1 unreachable-stage', '2:1 unreachable-stage'],
  ['needed by a mount', 'FROM scratch AS a\nFROM scratch\nRUN --mount=type=bind,from=a,target=/x ls'],
  ['by number', 'FROM scratch AS a\nFROM scratch\nCOPY --from=0 x y', '1:1 unused-stage-name (info)'],
  ['a stage in a variable', 'ARG B=a\nFROM scratch AS a\nFROM $B'],
  ['no tag', 'FROM k8s\nCOPY --from=tools:latest a b', '1:6 untagged-image', '2:13 latest-image'],
  ['a registry with a port is no tag', 'FROM localhost:5000/k8s', '1:6 untagged-image'],
  ['latest in a variable', 'ARG T=latest\nFROM k8s:$T', '2:6 latest-image'],
  ['not a name', 'FROM K8S:v1', '1:6 invalid-image'],
  ['an empty name', 'ARG I=\nFROM $I', '2:6 invalid-image'],
  ['not a platform', 'FROM --platform=linux/amd46 k8s:v1', '1:17 invalid-platform'],
  ['one platform', 'FROM --platform=linux/amd64 k8s:v1', '1:17 fixed-platform (info)'],
  // layers
  ['behind BASE', 'FROM scratch\nBASE rootfs cache\nCOPY imageList manifests/\nCOPY x y', '3:1 copy-after-base'],
  ['ADD of a file', 'FROM scratch\nADD a b', '2:1 add-instead-of-copy (info)'],
  ['ADD of a URL', 'FROM scratch\nADD https://x/y.tar z', '2:1 add-without-checksum'],
  ['WORKDIR over an image', 'FROM k8s:v1\nWORKDIR a', '2:9 relative-workdir'],
  ['RUN for nothing', 'FROM scratch\nRUN cd /x\nRUN export A=1', '2:1 run-without-effect', '3:1 run-without-effect'],
  ['sudo', 'FROM scratch\nRUN a && sudo b', '2:1 run-sudo'],
  ['a pipe', 'FROM scratch\nRUN curl -L http://x | tar x', '2:1 pipe-hides-failure (info)'],
  [
    'no shell',
    'FROM scratch\nRUN ["echo", "$HOME"]\nCMD ["a", "&&", "b"]',
    '2:1 exec-form-shell-syntax',
    '3:1 exec-form-shell-syntax',
  ],
  // the image
  ['labels', 'FROM scratch\nLABEL a=1\nLABEL b=2 a=3', '3:11 duplicate-label'],
  ['labels of two stages', 'FROM scratch AS a\nLABEL a=1\nFROM a\nLABEL a=2'],
  [
    'docker: platform variables are declared',
    '# dialect=docker\nFROM x:$TARGETARCH\nCOPY $TARGETARCH .\nARG TARGETOS\nCOPY $TARGETOS .',
    '3:6 undefined-variable',
  ],
  ['docker: two commands', '# dialect=docker\nFROM x:1\nCMD a\nCMD b', '4:1 repeated-command'],
  [
    'paths of one machine',
    'FROM scratch\nCMD kubectl apply -f /home/me/a.yaml\nCMD bash ~/x.sh\nCMD cat ../etc/x\nCMDS ["sh --file=/tmp/x"]',
    '2:1 host-only-path',
    '3:1 host-only-path',
    '4:1 host-only-path',
    '5:1 cmd-and-cmds',
    '5:1 host-only-path',
  ],
  [
    'applications',
    'FROM scratch\nAPP web local://x\nLAUNCH wbe\nAPPENV x A=b',
    '3:1 unknown-application',
    '4:8 unknown-application',
  ],
  ['inherited applications', 'FROM scratch AS a\nAPP web local://x\nFROM a\nLAUNCH web'],
  ['not a range', 'FROM scratch\nKUBEVERSION about 1.20', '2:13 invalid-kube-version'],
  // style
  ['MAINTAINER', 'FROM scratch\nMAINTAINER me', '2:1 maintainer-deprecated'],
  ['old ENV', 'FROM scratch\nENV A b c\nLABEL a b', '2:1 legacy-key-value (info)', '3:1 legacy-key-value (info)'],
  ['case', 'FROM scratch\nCOPY a b\ncopy c d', '3:1 inconsistent-case (info)'],
];

test.each(CASES.map(([what, text, ...expected]) => ({ what, text, expected })))('$what', async ({ text, expected }) => {
  expect(await findingsOf(text)).toEqual(expected);
});

test('what is said names the rule, and says what to do', async () => {
  for (const [, text] of CASES)
    for (const { rule, message, help, file } of (await lint(text)).findings) {
      expect(Object.keys(RULES)).toContain(rule);
      expect([message, help, file]).not.toContain('');
      expect(message).not.toMatch(/undefined|\[object|\n/);
    }
});

test('every rule of the text alone is tried by a case', () => {
  const needFiles = /^(?:copy-(?!after)|missing-|invalid-metadata|un(?:known-rule|used-suppression))/;
  const elsewhere = [
    'unfinished-continuation',
    'invalid-json',
    'inline-comment',
    'comma-separated-arg',
    'comma-separated-cmd',
    'stage-shadows-image',
    'unknown-build-arg',
  ];
  const tried = new Set(CASES.flatMap(([, , ...expected]) => expected.map((finding) => finding.split(' ')[1])));
  expect(
    Object.keys(RULES).filter((rule) => !tried.has(rule) && !needFiles.test(rule) && !elsewhere.includes(rule)),
  ).toEqual([]);
});

describe('what is known about the build', () => {
  test('a value makes the ARG known', async () => {
    const text = 'ARG V\nFROM k8s:$V';
    expect(await findingsOf(text, { buildArgs: { V: 'latest' } })).toEqual(['2:6 latest-image']);
  });
  test('an argument for nobody', async () => {
    const { findings } = await lint('FROM scratch\nARG VERSION\nCOPY $VERSION .', { buildArgs: { VERSOIN: '1' } });
    expect(findings.find(({ rule }) => rule === 'unknown-build-arg')?.help).toBe('did you mean VERSION?');
  });
  test('the target decides what is reachable', async () => {
    const text = 'FROM scratch AS a\nFROM scratch AS nobodys\nFROM scratch AS b';
    expect(await findingsOf(text)).toEqual(['1:1 unreachable-stage', '2:1 unreachable-stage']);
    // b is what the file is for without a target: it is not there for nothing
    expect(await findingsOf(text, { target: 'a' })).toEqual(['2:1 unreachable-stage']);
    await expect(lint(text, { target: 'c' })).rejects.toMatchObject({ code: 'E_USAGE' });
  });
});

describe('suppressions', () => {
  const text = (comment: string) => `FROM scratch\n${comment}\nLABEL a=1 \\\n  a=2\nLABEL a=3\n`;
  test.each<[string, string[], number]>([
    ['# a comment', ['4:3 duplicate-label', '5:7 duplicate-label'], 0],
    ['# slipway lint ignore=duplicate-label', ['5:7 duplicate-label'], 1],
    ['  #  slipway lint ignore=duplicate-label because of x', ['5:7 duplicate-label'], 1],
    ['# slipway lint ignore=latest-image,duplicate-label', ['5:7 duplicate-label'], 1],
    ['# slipway lint ignore-file=duplicate-label', [], 2],
    ['# slipway lint ignore=duplicate-lable', ['2:1 unknown-rule', '4:3 duplicate-label', '5:7 duplicate-label'], 0],
    ['# slipway lint ignore=syntax', ['2:1 unknown-rule', '4:3 duplicate-label', '5:7 duplicate-label'], 0],
    ['# slipway lint ingore=x', ['2:1 unknown-rule', '4:3 duplicate-label', '5:7 duplicate-label'], 0],
  ])('%s', async (comment, expected, suppressed) => {
    expect(await findingsOf(text(comment))).toEqual(expected);
    expect((await lint(text(comment))).suppressed).toBe(suppressed);
  });
  test('inside a continued instruction', async () => {
    expect(await findingsOf('FROM scratch\nRUN a \\\n# slipway lint ignore=run-sudo\n && sudo b')).toEqual([]);
    expect(await findingsOf('FROM scratch\nLABEL a=1 \\\n# slipway lint ignore=duplicate-label\n a=2')).toEqual([]);
  });
  test('a line of a heredoc is none', async () => {
    const heredoc = 'FROM scratch\nRUN <<EOF\n# slipway lint ignore=run-sudo\nEOF\nRUN sudo a';
    expect(await findingsOf(heredoc)).toEqual(['5:1 run-sudo']);
  });
});
