import { SlipwayError } from '../../base/errors.js';
import { joinPath } from '../../layers/layer-names.js';
import { pathToBytes } from '../../layers/path-bytes.js';
import type { SentPaths } from '../state/cluster-paths.js';
import type { WantedEntry, WantedFile } from './rootfs.js';
import type { Moves, TocDifference } from './toc-difference.js';

/** Arguments of one command: well below any limit of the system. */
const MOST_ARGUMENTS = 200;

/**
 * The script that brings files from `incoming/files` to their places, as bytes: file names need not be UTF-8. It may be cut off
 * anywhere; the next comparison finds what is still missing.
 * @param bare files there of which only the content is right
 */
export function applyScript(
  { clear, remove, removeDirs, adjust }: TocDifference,
  { trees, intoDirs }: Moves,
  paths: SentPaths,
  bare: readonly WantedFile[] = [],
): Buffer {
  const inRootfs = (path: string): string => (path === '' ? paths.rootfs : `${paths.rootfs}/${path}`);
  const lines: Buffer[] = [Buffer.from('set -e')];
  const command = (words: readonly string[], operands: readonly string[], last: readonly string[] = []): void => {
    for (const some of chunks(operands)) {
      lines.push(Buffer.concat([Buffer.from(words.join(' ')), ...[...some, ...last].map((word) => quoted(word))]));
    }
  };
  lines.push(Buffer.concat([Buffer.from('cd'), quoted(`${paths.incoming}/files`)]));
  for (const [words, names] of attributeCommands(bare)) command(words, names);
  command(['rm', '-rf', '--'], clear.map(inRootfs));
  command(['rm', '-f', '--'], remove.map(inRootfs));
  for (const tree of trees) {
    if (tree === '') lines.push(Buffer.concat([Buffer.from('cd .. && mv --'), quoted('files'), quoted(paths.rootfs)]));
    else command(['mv', '--'], [tree], [inRootfs(tree)]);
  }
  for (const [dir, names] of intoDirs) {
    command(
      ['mv', '-f', '--'],
      names.map((name) => `./${joinPath(dir, name)}`),
      [`${inRootfs(dir)}/`],
    );
  }
  for (const entry of adjust) {
    const path = inRootfs(entry.path);
    command(['chown', '-h', `${entry.uid}:${entry.gid}`, '--'], [path]);
    if (entry.type === 'dir') command(['chmod', entry.mode.toString(8), '--'], [path]);
  }
  // One that still has something in it, which is not ours, stays.
  for (const dir of removeDirs) {
    lines.push(Buffer.concat([Buffer.from('rmdir --'), quoted(inRootfs(dir)), Buffer.from(' 2>/dev/null || true')]));
  }
  return Buffer.concat(lines.map((line) => Buffer.concat([line, Buffer.from('\n')])));
}

/** Commands that give files their attributes, each for all that have the same. Owner before mode: changing it takes setuid away. */
function attributeCommands(files: readonly WantedFile[]): [readonly string[], readonly string[]][] {
  const grouped = (words: (file: WantedFile) => readonly string[]): [readonly string[], readonly string[]][] => {
    const groups = new Map<string, [readonly string[], string[]]>();
    for (const file of files) {
      const of = words(file);
      const group = groups.get(of.join(' ')) ?? [of, []];
      groups.set(of.join(' '), group);
      group[1].push(`./${file.path}`);
    }
    return [...groups.values()];
  };
  return [
    ...grouped(({ uid, gid }) => ['chown', `${uid}:${gid}`, '--']),
    ...grouped(({ mode }) => ['chmod', mode.toString(8), '--']),
    ...grouped(({ mtime }) => ['touch', '-d', `@${mtime}`, '--']),
  ];
}

/** The list that `sha256sum -c` checks the files that arrived against. Names with a line break or backslash are escaped as it does. */
export function checksumList(send: readonly WantedEntry[]): Buffer {
  const files = send.filter((entry): entry is WantedFile => entry.type === 'file');
  return Buffer.concat(
    files.map(({ path, digest }) => {
      if (!digest.startsWith('sha256:')) {
        throw new SlipwayError('E_UNSUPPORTED', `${path}: hosts can check sha256 only, not ${digest.split(':')[0]}`);
      }
      const escaped = /[\\\n\r]/.test(path);
      const name = path.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
      const line = `${escaped ? '\\' : ''}${digest.slice('sha256:'.length)}  `;
      return Buffer.concat([Buffer.from(line), pathToBytes(name), Buffer.from('\n')]);
    }),
  );
}

function quoted(word: string): Buffer {
  return Buffer.concat([Buffer.from(" '"), pathToBytes(word.replaceAll("'", "'\\''")), Buffer.from("'")]);
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / MOST_ARGUMENTS);
  return Array.from({ length: count }, (_, index) => items.slice(index * MOST_ARGUMENTS, (index + 1) * MOST_ARGUMENTS));
}
