import { fromScratch, type OracleCase } from '../case.js';
import type { Files } from '../files.js';

const CONTEXT: Files = {
  a: 'A',
  'a.log': 'L',
  'b.md': 'M',
  'README.md': 'R',
  'd/a.log': 'DL',
  'd/x': 'DX',
  'd/e/a.log': 'DEL',
  'd/e/y': 'DEY',
  'd/e/f/z': 'Z',
  'out/bin/tool': 'T',
  'out/lib/x': 'X',
  'src/main.c': 'C',
  'src/test/t.c': 'T',
  '.git/HEAD': 'ref',
  'with space': 'S',
  '#sharp': '#',
  '!bang': '!',
  'c++/x': 'C',
  'dir (copy)/x': 'D',
};

const ignore = fromScratch('.dockerignore');

/** The whole context below `/c`, seen through these lines. */
function lines(title: string, text: string, more: Parameters<typeof ignore>[3] = {}): OracleCase {
  return ignore(title, { ...CONTEXT, '.dockerignore': text }, 'COPY . /c/', more);
}

export const IGNORE_CASES: readonly OracleCase[] = [
  lines('an empty file', ''),
  lines('a name', 'a\n'),
  lines('a directory', 'd\n'),
  lines('a directory with a slash', 'd/\n'),
  lines('a leading slash', '/d\n'),
  lines('a name is that of the root only', 'a.log\n'),
  lines('a path', 'd/e\n'),
  lines('a path with dots', './d/../d/./e/\n'),
  lines('a path that leaves the context', '../a\n'),
  lines('* of the root', '*.log\n'),
  lines('* in a directory', '*/*.log\n'),
  lines('* does not cross slashes', 'd/*\n!d/e/f\n'),
  lines('** anywhere', '**/*.log\n'),
  lines('** of names', '**/a.log\n'),
  lines('** at the end', 'd/**\n'),
  lines('** in the middle', 'd/**/z\n'),
  lines('** alone', '**\n'),
  lines('* alone', '*\n'),
  lines('?', '?\n?.md\n'),
  lines('a class', '[ab]*\n'),
  lines('a negated class', '[^ab]*\n'),
  lines('comments and empty lines', '# a\n\n   \n#d\nb.md\n'),
  lines('a comment that is indented is a pattern', ' #sharp\n'),
  lines('an escaped #', '\\#sharp\n'),
  lines('an escaped !', '\\!bang\n'),
  lines('blanks around', '  a \t\n\td\n'),
  lines('a blank inside', 'with space\n'),
  lines('line ends of Windows', 'a\r\nd\r\n'),
  lines('a byte order mark', '\uFEFFa\n'),
  lines('no line end at the end', 'a\nd'),
  lines('an exception', '*.md\n!README.md\n'),
  lines('an exception before', '!README.md\n*.md\n'),
  lines('an exception of an exception', '*\n!d\nd/e\n!d/e/f\n'),
  lines('an exception in an ignored directory', 'd\n!d/x\n'),
  lines('a deep exception in an ignored directory', 'd\n!d/e/f/z\n'),
  lines('an exception below everything', '*\n!src\n'),
  lines('an exception below everything, a file', '**\n!src/main.c\n'),
  lines('an exception with a wildcard', '*\n!*.md\n'),
  lines('an exception with **', '*\n!**/*.c\n', {
    differs: 'buildah does not look into ignored directories for it; BuildKit does',
    ours: {
      tree: [
        'c 0755 0:0 dir',
        'c/src 0755 0:0 dir',
        'c/src/main.c 0644 0:0 "C"',
        'c/src/test 0755 0:0 dir',
        'c/src/test/t.c 0644 0:0 "T"',
      ],
    },
  }),
  lines('an exception with a slash', '*\n!/src/\n'),
  lines('an exception with blanks', '*\n!  src  \n', {
    differs: 'buildah keeps the blanks behind a "!"; Docker drops them (ignorefile.ReadAll)',
  }),
  lines('a name again after its exception', 'd\n!d/x\nd\n'),
  lines('an exception of the whole, later', 'd/e\n!d\n'),
  lines('a name with + signs', 'c++\n', { differs: 'buildah takes + for a regular expression; Docker escapes it' }),
  lines('a name with brackets', 'dir (copy)\n', {
    differs: 'buildah takes brackets for a regular expression; Docker escapes them',
  }),
  lines('a dot', '.\n'),
  lines('a slash', '/\n'),
  lines('hidden directories', '.git\n'),
  lines('dots are not special', '.*\n'),
  lines('a lonely !', '!\n', { fails: true }),
  lines('an open class', 'a[\n', { fails: true }),
  lines('a backslash at the end', 'a\\\n', { fails: true }),
  lines('itself', '.dockerignore\n'),

  ignore('a source it names is missing', { ...CONTEXT, '.dockerignore': 'a\n' }, 'COPY a /x', { fails: true }),
  ignore('a directory it names is missing', { ...CONTEXT, '.dockerignore': 'd\n' }, 'COPY d /x', { fails: true }),
  ignore('a file in a directory it names', { ...CONTEXT, '.dockerignore': 'd\n' }, 'COPY d/x /x', { fails: true }),
  ignore('an excepted file of a directory it names', { ...CONTEXT, '.dockerignore': 'd\n!d/x\n' }, 'COPY d/x /x'),
  ignore('a directory with an exception', { ...CONTEXT, '.dockerignore': 'd\n!d/x\n' }, 'COPY d /x'),
  ignore('wildcards see what is left', { ...CONTEXT, '.dockerignore': '*.md\n!README.md\n' }, 'COPY *.md /x/'),
  ignore('wildcards that see nothing', { ...CONTEXT, '.dockerignore': '*.md\n' }, 'COPY *.md /x/', { fails: true }),
  ignore('in a subdirectory it means nothing', { ...CONTEXT, 'd/.dockerignore': '*\n' }, 'COPY . /c/'),
  ignore('what is left of a directory that is copied', { ...CONTEXT, '.dockerignore': 'd/e\n' }, 'COPY d /x'),
  ignore("the Kubefile's own file comes first", { ...CONTEXT, '.dockerignore': 'a\n' }, 'COPY . /c/', {
    kubefileIgnore: 'd\n',
  }),
  ignore("the Kubefile's own file alone", CONTEXT, 'COPY . /c/', { kubefileIgnore: '*\n!src\n' }),
  ignore('a link by its own name', { ...CONTEXT, l: { link: 'a' }, '.dockerignore': 'l\n' }, 'COPY . /c/'),
  ignore('what a link leads to', { ...CONTEXT, l: { link: 'a' }, '.dockerignore': 'a\n' }, 'COPY . /c/'),
  ignore(
    'modes of directories with exceptions',
    { 'd/x': 'X', 'd/y': 'Y', d: { mode: 0o700 }, '.dockerignore': 'd\n!d/x\n' },
    'COPY . /c/',
    {
      differs: 'buildah makes a directory of its own; BuildKit keeps the mode of the one in the context',
      ours: {
        tree: ['c 0755 0:0 dir', 'c/.dockerignore 0644 0:0 "d\\n!d/x\\n"', 'c/d 0700 0:0 dir', 'c/d/x 0644 0:0 "X"'],
      },
    },
  ),
];
