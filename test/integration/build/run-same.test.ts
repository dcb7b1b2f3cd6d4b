import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const LAUNCHER = new URL('../../../bin/slipway', import.meta.url).pathname;

const KUBEFILE = `FROM scratch
COPY busybox bin/sh
COPY busybox bin/busybox
COPY old.tar etc/
RUN busybox mkdir -p a/b && echo 1 >a/b/f && busybox ln -s f a/b/l && busybox mkfifo a/p && busybox ln a/b/f a/h
RUN busybox tar xf etc/old.tar && busybox touch bin/sh && busybox chmod 755 bin/busybox
RUN --isolation=host mkdir h && echo 2 >h/f && touch bin/busybox && rm -r a/b
RUN --mount=target=/run/x --mount=type=cache,target=/c --mount=type=tmpfs,target=/t busybox cp -a /run/x/old.tar copied
WORKDIR /w/d
RUN echo 3 >f
`;

async function contextAt(name: string, time: number): Promise<string> {
  const dir = writeTree(join(home, name), { Kubefile: KUBEFILE, 'in/ancient': 'of 1999\n' });
  await must('tar', [
    'cf',
    join(dir, 'old.tar'),
    '-C',
    join(dir, 'in'),
    '--owner=0',
    '--group=0',
    '--mtime=@920000000',
    'ancient',
  ]);
  writeFileSync(join(dir, 'busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
  await must('find', [dir, '-exec', 'touch', '-d', `@${time}`, '{}', '+']);
  return dir;
}

async function layersOf(root: string): Promise<readonly string[]> {
  const text = await mustSlipway(['inspect', 'same:1', '--json'], { root });
  return (JSON.parse(text) as ImageDescription).layers.map(({ diffID }) => diffID);
}

it('the same RUNs give the same layers: at two times, with any umask, in two stores', async () => {
  const build = async (umask: string, time: number): Promise<readonly string[]> => {
    const dir = await contextAt(`context-${umask}`, time);
    const root = join(home, `store-${umask}`);
    await must('sh', [
      '-c',
      `umask ${umask}; exec "$@"`,
      'sh',
      process.execPath,
      LAUNCHER,
      'build',
      '-q',
      '-t',
      'same:1',
      '--root',
      root,
      dir,
    ]);
    return layersOf(root);
  };
  const first = await build('077', 1_500_000_000);
  expect(first.length).toBeGreaterThan(8);
  expect(await build('000', 1_600_000_000)).toEqual(first);

  const root = join(home, 'store-000');
  const rootfs = (await mustSlipway(['mount', 'same:1'], { root })).trim();
  try {
    const timeOf = (path: string): number => statSync(join(rootfs, path)).mtimeMs / 1000;
    for (const path of ['h/f', 'h', 'bin/sh', 'w/d/f', 'copied'])
      expect([path, timeOf(path)]).toEqual([path, 946_684_800]);
    expect(timeOf('ancient')).toBe(920_000_000);
    expect((statSync(join(rootfs, 'w/d/f')).mode & 0o777).toString(8)).toBe('644');
  } finally {
    await mustSlipway(['umount', '--all'], { root });
  }
});

it('a user who is not root sees the root directory whatever the umask was', async () => {
  const dir = writeTree(join(home, 'closed'), {
    Kubefile: 'FROM scratch\nCOPY busybox bin/sh\nUSER 1234\nRUN echo hello\n',
  });
  writeFileSync(join(dir, 'busybox'), readFileSync('/bin/busybox'), { mode: 0o755 });
  mkdirSync(join(home, 'store-closed'));
  await must('sh', [
    '-c',
    'umask 077; exec "$@"',
    'sh',
    process.execPath,
    LAUNCHER,
    'build',
    '--root',
    join(home, 'store-closed'),
    dir,
  ]);
});
