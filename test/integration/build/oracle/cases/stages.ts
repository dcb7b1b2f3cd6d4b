import { area, fromScratch, type OracleCase } from '../case.js';
import type { Files } from '../files.js';

const CONTEXT: Files = {
  a: 'A',
  b: { content: 'B', mode: 0o751 },
  'd/x': 'DX',
  'd/sub/z': 'DSZ',
  'd/l': { link: 'x' },
  'd/h': { hardLink: 'd/x' },
  'p/etc/passwd': 'root:x:0:0::/:/x\nme:x:21:22::/:/x\n',
  'p/etc/group': 'root:x:0:\nus:x:33:me\n',
};

const stage = area('stages');
const from = area('--from');
const owner = fromScratch('--chown');
const mode = fromScratch('--chmod');

const ONE = 'FROM scratch AS one\nCOPY d /d\nCOPY --chown=3:4 b /o/b\n';

export const STAGE_CASES: readonly OracleCase[] = [
  stage('the last one counts', CONTEXT, 'FROM scratch\nCOPY a /a\nFROM scratch\nCOPY b /b\n'),
  stage('FROM a stage', CONTEXT, `${ONE}FROM one\nCOPY a /a\n`),
  stage(
    'FROM a stage, its config',
    CONTEXT,
    'FROM scratch AS one\nENV A=1\nLABEL l=1\nUSER 5\nWORKDIR /w\nENTRYPOINT ["e"]\nCMD ["c"]\nFROM one\nENV B=$A\n',
  ),
  stage('names in any case', CONTEXT, 'FROM scratch AS One\nCOPY a /a\nFROM oNE\nCOPY b /b\n', {
    differs: 'stage names have no case in Docker; buildah 1.28 looks for an image',
    ours: { tree: ['a 0644 0:0 "A"', 'b 0751 0:0 "B"'] },
  }),
  stage('--target by name', CONTEXT, 'FROM scratch AS one\nCOPY a /a\nFROM scratch AS two\nCOPY b /b\n', {
    target: 'one',
  }),
  stage('--target by number', CONTEXT, 'FROM scratch AS one\nCOPY a /a\nFROM scratch AS two\nCOPY b /b\n', {
    target: '0',
    differs: 'in Docker --target may be a number; buildah 1.28 wants a name',
    ours: { tree: ['a 0644 0:0 "A"'] },
  }),
  stage('--target that is missing', CONTEXT, 'FROM scratch AS one\nCOPY a /a\n', { target: 'none', fails: true }),
  stage('of a name that is an ARG', CONTEXT, 'ARG B=one\nFROM scratch AS one\nCOPY a /a\nFROM $B\nCOPY b /b\n', {
    differs: 'in Docker the value of a variable may name a stage; buildah 1.28 looks for an image',
    ours: { tree: ['a 0644 0:0 "A"', 'b 0751 0:0 "B"'] },
  }),
  stage('FROM itself', CONTEXT, 'FROM one AS one\nCOPY a /a\n', { fails: true }),
  stage('FROM a later one', CONTEXT, 'FROM two AS one\nCOPY a /a\nFROM scratch AS two\nCOPY b /b\n', {
    target: 'one',
    fails: true,
  }),
  stage('FROM without a name', CONTEXT, 'FROM\n', { fails: true }),
  stage('AS without a name', CONTEXT, 'FROM scratch AS\n', { fails: true }),
  stage('FROM an image', CONTEXT, 'FROM localhost/base1\nCOPY a /a\n', { images: { base1: `${ONE}ENV A=1\n` } }),
  stage('FROM an image, its config', CONTEXT, 'FROM localhost/base2\nENV B=$A\nCOPY a x\n', {
    images: { base2: 'FROM scratch\nENV A=1\nWORKDIR /w\nUSER 5:6\nLABEL l=1\nENTRYPOINT ["e"]\nCMD ["c"]\n' },
  }),
  stage('FROM an image, with an ENTRYPOINT of its own', CONTEXT, 'FROM localhost/base3\nENTRYPOINT ["f"]\n', {
    images: { base3: 'FROM scratch\nCOPY a /a\nENTRYPOINT ["e"]\nCMD ["c"]\n' },
  }),
  stage('FROM an image that is missing', CONTEXT, 'FROM localhost/none\nCOPY a /a\n', { fails: true }),

  from('a file', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /d/x /x\n`),
  from('by number', CONTEXT, `${ONE}FROM scratch\nCOPY --from=0 /d/x /x\n`),
  from('in any case', CONTEXT, `${ONE}FROM scratch\nCOPY --from=ONE /d/x /x\n`, {
    differs: 'stage names have no case in Docker; buildah 1.28 looks for an image',
    ours: { tree: ['x 0644 0:0 "DX"'] },
  }),
  from('a directory', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /d /x/\n`),
  from('everything', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one / /\n`),
  from('everything below a directory', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one / /x/\n`),
  from(
    'a relative source starts at the root',
    CONTEXT,
    `FROM scratch AS one\nWORKDIR /d\nCOPY a a\nFROM scratch\nCOPY --from=one d/a /x\n`,
  ),
  from('owners are lost', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /o/b /x\n`),
  from('with --chown', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one --chown=8:9 /d /x\n`),
  from('a wildcard', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /d/* /x/\n`, {
    differs: 'one COPY keeps hard links, also between its sources',
  }),
  from(
    '.dockerignore does not count',
    { ...CONTEXT, '.dockerignore': 'x\n**/y\n', 'd/y': 'Y' },
    `FROM scratch AS one\nCOPY d /x\nFROM scratch\nCOPY --from=one /x /z\n`,
  ),
  from('something that is missing', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /none /x\n`, { fails: true }),
  from('a later stage', CONTEXT, 'FROM scratch\nCOPY --from=two /a /a\nFROM scratch AS two\nCOPY a /a\n', {
    fails: true,
    target: '0',
  }),
  from('the stage itself', CONTEXT, 'FROM scratch AS one\nCOPY a /a\nCOPY --from=one /a /b\n', { fails: true }),
  from('a number that is too high', CONTEXT, `${ONE}FROM scratch\nCOPY --from=7 /a /b\n`, { fails: true }),
  from('an image', CONTEXT, 'FROM scratch\nCOPY --from=localhost/base4 /d/x /x\n', { images: { base4: ONE } }),
  from('an image that is missing', CONTEXT, 'FROM scratch\nCOPY --from=localhost/none /d/x /x\n', { fails: true }),
  from('a link as a source', CONTEXT, `${ONE}FROM scratch\nCOPY --from=one /d/l /x\n`),
  from(
    'setuid stays',
    { s: { content: 'S' } },
    'FROM scratch AS one\nCOPY --chmod=4755 s /s\nFROM scratch\nCOPY --from=one /s /s\n',
  ),

  owner('numbers', CONTEXT, 'COPY --chown=5:6 a /x'),
  owner('a number is the group too', CONTEXT, 'COPY --chown=5 a /x'),
  owner('a directory', CONTEXT, 'COPY --chown=5:6 d /x/'),
  owner('directories that are made', CONTEXT, 'COPY --chown=5:6 a /x/y/z'),
  owner('directories that are there', CONTEXT, 'COPY d /x\nCOPY --chown=5:6 a /x/'),
  owner('a directory over one that is there', CONTEXT, 'COPY d /x\nCOPY --chown=5:6 d /x/'),
  owner('a name', CONTEXT, 'COPY p /\nCOPY --chown=me a /x'),
  owner('names', CONTEXT, 'COPY p /\nCOPY --chown=me:us a /x'),
  owner('a name and a number', CONTEXT, 'COPY p /\nCOPY --chown=me:7 a /x'),
  owner('a number and a name', CONTEXT, 'COPY p /\nCOPY --chown=7:us a /x'),
  owner('a name nobody has', CONTEXT, 'COPY p /\nCOPY --chown=you a /x', { fails: true }),
  owner('a name without files to look it up', CONTEXT, 'COPY --chown=me a /x', { fails: true }),
  owner('a variable', CONTEXT, 'ARG O=5:6\nCOPY --chown=$O a /x'),
  owner('of links', CONTEXT, 'COPY --chown=5:6 d /x'),
  owner('USER does not count', CONTEXT, 'USER 5:6\nCOPY a /x'),

  mode('octal', CONTEXT, 'COPY --chmod=600 a /x'),
  mode('octal with a zero', CONTEXT, 'COPY --chmod=0711 a /x'),
  mode('a directory', CONTEXT, 'COPY --chmod=750 d /x/'),
  mode('directories that are made', CONTEXT, 'COPY --chmod=700 a /x/y/z'),
  mode('setuid', CONTEXT, 'COPY --chmod=4755 a /x'),
  mode('nonsense', CONTEXT, 'COPY --chmod=9z a /x', { fails: true }),
  mode('with --chown', CONTEXT, 'COPY --chown=5:6 --chmod=640 a b /x/'),
];
