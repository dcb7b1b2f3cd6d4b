import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
let count = 0;

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

/** Builds and gives what was said; it must succeed. */
async function build(dir: string, ...args: readonly string[]): Promise<string> {
  const { code, stderr } = await slipway(['build', '-t', 'it', ...args, dir], { root });
  if (code !== 0) throw new Error(stderr);
  return stderr;
}

async function image(): Promise<ImageDescription> {
  return JSON.parse(await mustSlipway(['inspect', 'it', '--json'], { root })) as ImageDescription;
}

/** What the commands of a build printed, without prefixes. */
function printed(said: string): string[] {
  return said.split('\n').flatMap((line) => /^\[[^\]]+\] > (.*)$/.exec(line)?.[1] ?? []);
}

/** Marks lines so that {@link printed} finds them. */
const SAY = (command: string): string => `{ ${command}; } | sed 's/^/> /'`;

describe('a bind mount', () => {
  it('shows the build context without what is hidden, and throws away what is written', async () => {
    const dir = context(
      `FROM scratch
RUN --mount=target=/run/ctx,rw ${SAY('(cd /run/ctx; find . | sort; cat sub/a; echo new >sub/a; echo x >made; rm b; cat sub/a)')}
RUN --mount=source=sub,target=src ${SAY('cat src/a')}; ! touch src/x 2>/dev/null && ! ls src/../made
RUN --mount=source=sub/a,target=/run/file ${SAY("cat /run/file; stat -c '%u:%g %a %Y' /run/file")}
`,
      {
        'sub/a': 'A\n',
        b: 'B',
        'secret/key': 'K',
        'secret/public': 'P',
        '.dockerignore': 'secret\n!secret/public\n*.log\n',
        'x.log': '',
      },
    );
    chmodSync(join(dir, 'sub/a'), 0o4755);
    symlinkSync('secret/key', join(dir, 'alias'));
    const said = printed(await build(dir));
    expect(said).toEqual(
      [
        '.',
        './.dockerignore',
        './Kubefile',
        './alias',
        './b',
        './secret',
        './secret/public',
        './sub',
        './sub/a',
      ].concat(['A', 'new', 'A', 'A', '0:0 755 946684800']),
    );
    expect(readFileSync(join(dir, 'sub/a'), 'utf8')).toBe('A\n');
    expect(existsSync(join(dir, 'b')) && !existsSync(join(dir, 'made'))).toBe(true);
    expect((await image()).layers).toEqual([]);
    for (const source of ['secret/key', 'alias', 'nothing', '../x'])
      expect(
        (
          await slipway(
            [
              'build',
              context(`FROM scratch\nRUN --mount=source=${source},target=/run/x true\n`, {
                'secret/key': 'K',
                '.dockerignore': 'secret/key',
              }),
            ],
            { root },
          )
        ).stderr,
      ).toMatch(/Kubefile:2:1: (there is no|\.\.\/x leaves)/);
  });

  it('counts for the cache with its content, not with its times', async () => {
    const dir = context(`FROM scratch\nRUN --mount=source=in,target=/run/in cp /run/in/f f\n`, {
      'in/f': '1',
      other: '1',
    });
    await build(dir);
    const first = (await image()).layers;
    writeFileSync(join(dir, 'other'), '2');
    utimesSync(join(dir, 'in/f'), 5, 5);
    expect(await build(dir)).toContain('cached');
    writeFileSync(join(dir, 'in/f'), '2');
    expect(await build(dir)).not.toContain('cached');
    expect((await image()).layers).not.toEqual(first);
    chmodSync(join(dir, 'in/f'), 0o755);
    expect(await build(dir)).not.toContain('cached');
  });

  it('shows a stage or an image, with its links followed inside it', async () => {
    const base = context('FROM scratch\nCOPY f dir/f\n', { f: 'of the image' });
    await mustSlipway(['build', '-t', 'base:1', base], { root });
    const dir = context(
      `FROM scratch AS made
RUN mkdir -p a/b && echo stage >a/b/f && ln -s /a/b link && ln -s /etc/passwd out && touch gone && chmod 750 a
RUN rm gone
FROM scratch
RUN --mount=from=made,source=link,target=/run/m,rw ${SAY('cat /run/m/f; echo 2 >/run/m/f; echo 2 >/run/m/g; ls /run/m')}
RUN --mount=from=made,target=/run/m ${SAY('ls /run/m; stat -c %a /run/m/a; cat /run/m/a/b/f; readlink /run/m/out')}
RUN --mount=from=base:1,source=/dir/f,target=/run/f ${SAY('cat /run/f')}
`,
    );
    expect(printed(await build(dir))).toEqual([
      'stage',
      'f',
      'g',
      'a',
      'link',
      'out',
      '750',
      'stage',
      '/etc/passwd',
      'of the image',
    ]);
    expect((await image()).layers).toEqual([]);
    const missing = context('FROM scratch AS made\nFROM scratch\nRUN --mount=from=made,source=x,target=/run/x true\n');
    expect((await slipway(['build', missing], { root })).stderr).toContain('Kubefile:3:1: there is no "x" in made');
  });
});

describe('a cache mount', () => {
  it('outlives the build, has its owner and mode, and no id is a path', async () => {
    const ids = ['plain', '../../../../escape', '/etc/x', 'a b'];
    const line = (id: string): string =>
      `RUN --mount=type=cache,target=/run/c,mode=0750,uid=3,gid=4,"id=${id}" ${SAY("stat -c '%a %u:%g' /run/c; cat /run/c/n 2>/dev/null")}; echo "${id}" >/run/c/n\n`;
    const dir = context(`FROM scratch\n${ids.map(line).join('')}`);
    const fresh = '750 3:4';
    expect(printed(await build(dir, '--no-cache'))).toEqual(ids.map(() => fresh));
    expect(printed(await build(dir, '--no-cache'))).toEqual(ids.flatMap((id) => [fresh, id]));
    expect(await build(dir)).toContain('cached');
    expect((await image()).layers).toEqual([]);
    expect(readdirSync(join(root, 'cache/mounts')).every((name) => /^[0-9a-f]{64}$/.test(name))).toBe(true);
    expect(readdirSync(home).sort()).toEqual(['contexts', 'store']);
    const pruned = JSON.parse(await mustSlipway(['prune', '--build-cache', '--json'], { root })) as { caches: number };
    expect(pruned.caches).toBe(ids.length);
    expect(printed(await build(dir, '--no-cache'))).toEqual(ids.map(() => fresh));
  });

  it('begins with a directory of a stage, which is copied', async () => {
    const dir = context(
      `FROM scratch AS seed
RUN mkdir -p d/e && echo s >d/e/f
FROM scratch
RUN --mount=type=cache,id=seeded,from=seed,source=d,target=/run/c ${SAY('cat /run/c/e/f; ls /run/c')}; echo 2 >/run/c/g
RUN --mount=type=cache,id=seeded,from=seed,source=d,target=/run/c,ro ${SAY('ls /run/c')}; ! touch /run/c/x 2>/dev/null
`,
    );
    expect(printed(await build(dir))).toEqual(['s', 'e', 'e', 'g']);
  });

  it('is one directory for two mounts of a command', async () => {
    const twice = '--mount=type=cache,id=twice,sharing=locked,target=/run/';
    await build(context(`FROM scratch\nRUN ${twice}a ${twice}b echo 1 >/run/a/f && cat /run/b/f\n`));
    const differ = context(`FROM scratch\nRUN ${twice}a --mount=type=cache,id=twice,target=/run/b true\n`);
    expect((await slipway(['build', differ], { root })).stderr).toContain('two mounts of one cache differ in sharing=');
  });

  /** A build whose command holds a cache until it is told to go on. */
  function holding(sharing: string, id: string) {
    const dir = context(`FROM scratch
RUN --mount=type=cache,id=${id},sharing=${sharing},target=/run/c --mount=target=/run/x,rw echo holding; until [ -e /run/c/go ]; do sleep 0.05; done; touch /run/c/done
`);
    const running = startSlipway(['build', '--no-cache', dir], { root });
    return { ...running, holds: () => running.output().includes('] holding') };
  }

  it('that is locked is waited for, by other processes too; killed holders hold nothing', async () => {
    const first = holding('locked', 'lock');
    await expect.poll(first.holds, { timeout: 20_000 }).toBe(true);
    const dir = context(`FROM scratch
RUN --mount=type=cache,id=lock,sharing=locked,target=/run/c test -e /run/c/done || echo "not done"
`);
    const second = startSlipway(['build', dir], { root });
    await expect.poll(() => second.output(), { timeout: 20_000 }).toContain('waiting for the cache mount lock');
    first.kill('SIGKILL');
    await first.ended;
    const { code, stderr } = await second.ended;
    expect(stderr).toContain('] not done');
    expect(code).toBe(0);
  });

  it('that is locked and in use is not waited for after an interruption', async () => {
    const first = holding('locked', 'stop');
    await expect.poll(first.holds, { timeout: 20_000 }).toBe(true);
    const second = holding('locked', 'stop');
    await expect.poll(() => second.output(), { timeout: 20_000 }).toContain('waiting for the cache mount stop');
    second.kill('SIGTERM');
    expect((await second.ended).code).toBe(130);
    first.kill('SIGTERM');
    expect((await first.ended).code).toBe(130);
  });

  it('that is shared is used at once; a private one is another for each', async () => {
    const shared = [holding('shared', 's'), holding('shared', 's')];
    await expect.poll(() => shared.every(({ holds }) => holds()), { timeout: 20_000 }).toBe(true);
    await build(context('FROM scratch\nRUN --mount=type=cache,id=s,target=/run/c touch /run/c/go\n'));
    expect((await Promise.all(shared.map(({ ended }) => ended))).map(({ code }) => code)).toEqual([0, 0]);

    const first = holding('private', 'p');
    await expect.poll(first.holds, { timeout: 20_000 }).toBe(true);
    await build(context('FROM scratch\nRUN --mount=type=cache,id=p,sharing=private,target=/run/c touch /run/c/go\n'));
    expect(first.output()).not.toContain('Built');
    first.kill('SIGTERM');
    await first.ended;
  });
});

describe('a secret', () => {
  const TOKEN = 'correct-horse-battery-staple';

  it('is nowhere but where it belongs', async () => {
    const file = join(home, 'token.txt');
    writeFileSync(file, `${TOKEN}\n`);
    const dir = context(`FROM scratch
ENV SEEN=1
RUN --mount=type=secret,id=tok --mount=type=secret,id=var,env=VAR,target=etc/var,mode=0444 cat /run/secrets/tok; echo "it is $VAR"; stat -c %a /run/secrets/tok etc/var; [ "$VAR" = "$(cat etc/var)" ] && ls /run/secrets etc
RUN --mount=type=secret,id=tok --mount=type=secret,id=absent test ! -e /run/secrets/absent && sha256sum </run/secrets/tok | cut -c1-4 >sum
`);
    const args = ['--secret', `id=tok,src=${file}`, '--secret', 'id=var,env=MY_TOKEN', '--debug'];
    const { code, stdout, stderr } = await slipway(['build', '-t', 'it', ...args, dir], {
      root,
      env: { MY_TOKEN: `env-${TOKEN}` },
    });
    expect(stderr).toContain('it is ***');
    expect(stderr).toMatch(/400\n.*444\n/);
    expect(code).toBe(0);
    expect(stdout + stderr + JSON.stringify(await image())).not.toContain(TOKEN);
    expect(filesWith(root, TOKEN)).toEqual([]);
    // another value is no other build
    writeFileSync(file, 'something else entirely\n');
    const again = await slipway(['build', '-t', 'it', ...args, dir], { root, env: { MY_TOKEN: 'changed-value' } });
    expect(again.stderr.match(/cached/g)).toHaveLength(2);
  });

  it('is in no file of the machine while the command runs', async () => {
    const dir = context(
      'FROM scratch\nRUN --mount=type=secret,id=tok,env=TOK echo started; until [ -e /tmp/go ]; do sleep 0.05; done\n',
    );
    const running = startSlipway(['build', '--secret', 'id=tok,env=TOK', dir], { root, env: { TOK: TOKEN } });
    await expect.poll(() => running.output(), { timeout: 20_000 }).toContain('] started');
    expect(filesWith(root, TOKEN)).toEqual([]);
    running.kill('SIGTERM');
    await running.ended;
    expect(filesWith(root, TOKEN)).toEqual([]);
  });

  it('that is required and not given is an error before anything runs', async () => {
    const dir = context('FROM scratch\nRUN --mount=type=secret,id=tok,required echo no\n');
    const { code, stderr } = await slipway(['build', dir], { root });
    expect(stderr).toContain('Kubefile:2:1: the secret tok is required and the build was not given it');
    expect(stderr).not.toContain('] no');
    expect(code).toBe(1);
  });

  it('that cannot be read is an error', async () => {
    const dir = context('FROM scratch\n');
    writeFileSync(join(home, 'large'), Buffer.alloc(600_000));
    mkdirSync(join(home, 'socket'), { recursive: true });
    const server = createServer().listen(join(home, 'socket/s'));
    for (const [flag, message] of [
      ['id=x,src=/nowhere', 'cannot read /nowhere: no such file'],
      ['id=x,env=NOT_SET_AT_ALL', 'the variable NOT_SET_AT_ALL is not set'],
      [`id=x,src=${join(home, 'large')}`, 'more than 512000'],
      [`id=x,src=${join(home, 'socket/s')}`, 'is not a regular file'],
      [`id=x,src=${home}`, 'is not a regular file'],
      ['src=x', 'id=NAME is missing'],
    ] as const) {
      const { code, stderr } = await slipway(['build', '--secret', flag, dir], { root });
      expect(stderr).toContain(message);
      expect(code).toBeGreaterThan(0);
    }
    server.close();
  });
});

describe('a tmpfs mount', () => {
  it('is empty, limited and gone', async () => {
    const dir = context(
      `FROM scratch\nRUN --mount=type=tmpfs,target=mem,size=1m ${SAY('ls mem; df -k --output=size mem | tail -1 | tr -d " "')}; ! head -c 2000000 /dev/zero >mem/f 2>/dev/null\n`,
    );
    expect(printed(await build(dir))).toEqual(['1024']);
    expect((await image()).layers).toEqual([]);
  });
});

/** The files below a directory that hold a text, gzip members opened. */
function filesWith(dir: string, text: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .filter((file) => {
      const bytes = readFileSync(file);
      return bytes.includes(text) || (bytes[0] === 0x1f && bytes[1] === 0x8b && gunzipSync(bytes).includes(text));
    });
}
