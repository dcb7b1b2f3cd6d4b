import { packed, tarOf } from '../archives.js';
import { fromScratch, type OracleCase } from '../case.js';
import type { Files } from '../files.js';

const CONTEXT: Files = {
  a: 'A',
  b: { content: 'B', mode: 0o750 },
  'd/x': 'DX',
  'd/sub/z': 'DSZ',
  'with space': 'S',
};

const INSIDE: Files = {
  'p/one': '1',
  'p/two': { content: '2', mode: 0o755, owner: [3, 4] },
  'p/q/three': '3',
  'p/q': { mode: 0o750, owner: [5, 6] },
  'p/link': { link: 'one' },
  'p/hard': { hardLink: 'p/one' },
  top: 'T',
};

const TAR = { content: tarOf(INSIDE) };
const add = fromScratch('ADD');
const archive = fromScratch('archives');

export const ADD_CASES: readonly OracleCase[] = [
  add('a file', CONTEXT, 'ADD a /x'),
  add('a file to a directory', CONTEXT, 'ADD a /x/'),
  add('two files', CONTEXT, 'ADD a b /x/'),
  add('a directory', CONTEXT, 'ADD d /x'),
  add('the context', CONTEXT, 'ADD . /x/'),
  add('a wildcard', CONTEXT, 'ADD [ab] /x/'),
  add('JSON form', CONTEXT, 'ADD ["with space", "/x/"]'),
  add('a missing file', CONTEXT, 'ADD nothing /x', { fails: true }),
  add('--chown', CONTEXT, 'ADD --chown=5:6 d /x/'),
  add('--chmod', CONTEXT, 'ADD --chmod=640 a /x/'),
  add('--from is for COPY', CONTEXT, 'ADD --from=scratch a /x', { fails: true }),
  add('no arguments', CONTEXT, 'ADD', { fails: true }),

  archive('tar', { t: TAR }, 'ADD t /x/'),
  archive('tar, no slash', { t: TAR }, 'ADD t /x'),
  archive('tar to the root', { t: TAR }, 'ADD t /'),
  archive('tar into WORKDIR', { t: TAR }, 'WORKDIR /w\nADD t .'),
  archive('gzip', { t: { content: tarOf(INSIDE, { compress: 'gzip' }) } }, 'ADD t /x/'),
  archive('bzip2', { t: { content: tarOf(INSIDE, { compress: 'bzip2' }) } }, 'ADD t /x/'),
  archive('xz', { t: { content: tarOf(INSIDE, { compress: 'xz' }) } }, 'ADD t /x/'),
  archive('zstd', { t: { content: tarOf(INSIDE, { compress: 'zstd' }) } }, 'ADD t /x/'),
  archive('the name does not count', { 'photo.jpg': TAR }, 'ADD photo.jpg /x/'),
  archive('a gzip file that holds no tar', { 'f.gz': { content: packed('text', 'gzip') } }, 'ADD f.gz /x/'),
  archive('a file that is only called so', { 'f.tar.gz': 'text' }, 'ADD f.tar.gz /x/'),
  archive('an empty file that is called so', { 'f.tar': '' }, 'ADD f.tar /x/'),
  archive('over what is there', { t: TAR, 'e/p/one': 'old', 'e/p/other': 'O' }, 'COPY e /x\nADD t /x'),
  archive(
    'over a directory of another mode',
    { t: TAR, 'e/p/q/o': 'O', 'e/p/q': { mode: 0o700 } },
    'COPY e /x\nADD t /x',
  ),
  archive('two', { t: TAR, u: { content: tarOf({ 'p/four': '4' }) } }, 'ADD t u /x/'),
  archive('with a file', { t: TAR, a: 'A' }, 'ADD t a /x/'),
  archive('in a directory stays packed', { 'd/t': TAR }, 'ADD d /x/'),
  archive('by a wildcard', { 't.tar': TAR, 'u.tar': { content: tarOf({ v: 'V' }) } }, 'ADD *.tar /x/'),
  archive('COPY keeps it packed', { t: TAR }, 'COPY t /x/'),
  archive('with ./ names', { t: { content: tarOf(INSIDE, { flags: ['--transform=s,^,./,'] }) } }, 'ADD t /x/'),
  archive(
    'with long names',
    { t: { content: tarOf({ [`${'n'.repeat(120)}/${'m'.repeat(120)}`]: 'L' }) } },
    'ADD t /x/',
  ),
  archive('of pax format', { t: { content: tarOf(INSIDE, { flags: ['--format=pax'] }) } }, 'ADD t /x/'),
  archive('of ustar format', { t: { content: tarOf(INSIDE, { flags: ['--format=ustar'] }) } }, 'ADD t /x/'),
  archive('with setuid', { t: { content: tarOf({ s: { content: 'S', mode: 0o4755 } }) } }, 'ADD t /x/'),
  archive('--chown', { t: TAR }, 'ADD --chown=7:8 t /x/'),
];
