import fc from 'fast-check';
import type { OracleCase } from './case.js';
import type { FileSpec, Files } from './files.js';

/** Few names, so that lines meet what is there; some of them strange. */
const name = fc.constantFrom('a', 'b', 'c', 'ab', 'a.txt', 'b.txt', '.h', 'a b', 'x+y', 'ü', '$d', "it's");
const directory = fc.array(fc.constantFrom('d', 'e', 'd.d', '.g', 'f f'), { maxLength: 3 });
const filePath = fc.tuple(directory, name).map(([dirs, last]) => [...dirs, last].join('/'));
const dirPath = fc
  .array(fc.constantFrom('d', 'e', 'd.d', '.g', 'f f'), { minLength: 1, maxLength: 3 })
  .map((dirs) => dirs.join('/'));

const fileSpec: fc.Arbitrary<FileSpec> = fc.record({
  content: fc.string({ maxLength: 12 }),
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o444, 0o1644, 0o2755, 0o4755),
});
const dirSpec: fc.Arbitrary<FileSpec> = fc.record({ mode: fc.constantFrom(0o755, 0o700, 0o750, 0o1777) });
const linkSpec: fc.Arbitrary<FileSpec> = fc
  .oneof(name, dirPath, fc.constantFrom('../a', '/d', '.', 'none'))
  .map((link) => ({ link }));

const context: fc.Arbitrary<Files> = fc
  .tuple(
    fc.array(fc.tuple(filePath, fileSpec), { minLength: 1, maxLength: 10 }),
    fc.array(fc.tuple(dirPath, dirSpec), { maxLength: 3 }),
    fc.array(fc.tuple(directory, fc.constantFrom('l', 'm'), linkSpec), { maxLength: 2 }),
  )
  .map(([files, dirs, links]) =>
    Object.fromEntries([
      ...files,
      ...dirs,
      ...links.map(([dir, last, spec]) => [[...dir, last].join('/'), spec] as const),
    ]),
  );

const quoted = (path: string): string => JSON.stringify(path);

/** Names that are there, now and then one that is not, and paths in roundabout spelling. */
function source(files: Files): fc.Arbitrary<string> {
  // Quotes and dollars in JSON strings are read in another way by each builder.
  const there = Object.keys(files).filter((path) => !/[$']/.test(path));
  const dirs = there.flatMap((path) => (path.includes('/') ? [path.slice(0, path.lastIndexOf('/'))] : []));
  return fc
    .oneof(
      { weight: 20, arbitrary: fc.constantFrom('.', ...there) },
      { weight: 10, arbitrary: fc.constantFrom('.', ...dirs) },
      { weight: 1, arbitrary: filePath },
    )
    .chain((path) => fc.constantFrom(path, path, path, `./${path}`, `/${path}`));
}

const pattern = fc.constantFrom('*', '*', '*/*', '*/*', 'd*', '?', '[ab]*', '.*', '[^a]', '*.txt', 'd/*', '*/?');
const destination = fc.constantFrom('/', '/o/', '/o/p/', '.', './', 'r/', '/o/../q/', '//s//');
const plainDestination = fc.constantFrom('/o', '/o/p', 'r', '/t/u');
const flags = fc.constantFrom('', '', '', '--chown=5:6 ', '--chown=7 ', '--chmod=640 ', '--chown=1:2 --chmod=755 ');

function line(files: Files): fc.Arbitrary<string> {
  const several = fc
    .tuple(fc.array(source(files), { minLength: 1, maxLength: 3 }), destination)
    .map(([sources, to]) => `[${[...sources, to].map(quoted).join(', ')}]`);
  const one = fc.tuple(source(files), plainDestination).map((both) => `[${both.map(quoted).join(', ')}]`);
  const wild = fc.tuple(pattern, destination).map((both) => both.join(' '));
  return fc
    .tuple(fc.constantFrom('COPY', 'COPY', 'ADD'), flags, fc.oneof(several, one, wild))
    .map(([keyword, flag, rest]) => `${keyword} ${flag}${rest}`);
}

const ignoreLine = fc
  .tuple(
    fc.constantFrom('', '', '', '!', '/', '!/'),
    fc.array(fc.constantFrom('*', '**', 'd', 'e', 'a', 'b', 'a*', '*.txt', '?', '[ab]', 'd.d', '.g', '.*', 'f f'), {
      minLength: 1,
      maxLength: 3,
    }),
    fc.constantFrom('', '', '/', ' '),
  )
  .map(([sign, parts, end]) => sign + parts.join('/') + end);

/** A build of a few COPY and ADD lines over a context, mostly with an ignore file. */
export const randomBuild: fc.Arbitrary<OracleCase> = fc
  .tuple(context, fc.oneof(fc.constant([]), fc.array(ignoreLine, { maxLength: 4 })), fc.boolean())
  .chain(([files, ignores, inside]) =>
    fc.array(line(files), { minLength: 1, maxLength: 3 }).map((lines) => ({
      area: 'random',
      name: 'random',
      context: ignores.length === 0 ? files : { ...files, '.dockerignore': ignores.join('\n') },
      kubefile: ['FROM scratch', ...(inside ? ['WORKDIR /w'] : []), ...lines, ''].join('\n'),
    })),
  );
