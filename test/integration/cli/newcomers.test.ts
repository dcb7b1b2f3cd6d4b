import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { LAUNCHER, mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
const digests: Record<string, string> = {};

const run = (...args: string[]) => slipway(args, { root });
const ok = (...args: string[]) => mustSlipway(args, { root });

beforeAll(async () => {
  for (const name of ['n:1', 'docker.io/library/long:1', 'other:1', 'docker.io/team/app:2']) {
    const dir = writeTree(join(home, 'context'), { Kubefile: 'FROM scratch\nCOPY name /\n', name });
    digests[name] = (await ok('build', '-q', '-t', name, dir)).trim();
  }
});

/** A copy of the store that a test may change. */
function copyOfStore(name: string): string {
  cpSync(root, join(home, name), { recursive: true });
  return join(home, name);
}

describe('names of Docker Hub', () => {
  it.each([
    ['n:1', 'n:1'],
    ['docker.io/n:1', 'n:1'],
    ['docker.io/library/n:1', 'n:1'],
    ['index.docker.io/library/n:1', 'n:1'],
    ['library/n:1', 'n:1'],
    ['long:1', 'docker.io/library/long:1'],
    ['docker.io/long:1', 'docker.io/library/long:1'],
    ['team/app:2', 'docker.io/team/app:2'],
  ])('%s is found as %s', async (asked, name) => {
    expect(JSON.parse(await ok('inspect', '--json', asked))).toMatchObject({ name, digest: digests[name] });
  });

  it('are kept as they are written, and the written one counts where both are there', async () => {
    const copy = { root: copyOfStore('forms') };
    await mustSlipway(['tag', 'other:1', 'docker.io/library/n:1'], copy);
    const digest = async (name: string) => JSON.parse(await mustSlipway(['inspect', '--json', name], copy)).digest;
    expect(await digest('n:1')).toBe(digests['n:1']);
    expect(await digest('docker.io/library/n:1')).toBe(digests['other:1']);
    expect(await digest('docker.io/n:1')).toBe(digests['n:1']);
    expect(await mustSlipway(['images', 'docker.io/n:1'], copy)).toMatch(/^n:1 /m);
    expect(await mustSlipway(['rmi', 'long:1'], copy)).toContain('Untagged: docker.io/library/long:1');
    expect(await mustSlipway(['rmi', 'docker.io/n:1'], copy)).toContain('Untagged: n:1');
    expect(await digest('n:1')).toBe(digests['other:1']);
  });
});

describe('NAME@DIGEST', () => {
  it('is the image of that repository with that digest', async () => {
    for (const text of [`n@${digests['n:1']}`, `n:1@${digests['n:1']}`, `docker.io/library/n@${digests['n:1']}`])
      expect(JSON.parse(await ok('inspect', '--json', text))).toMatchObject({ name: 'n:1', digest: digests['n:1'] });
  });

  it.each([
    ['n', 'other:1', 'no image n@DIGEST in the store: DIGEST is other:1', 'leave the name away'],
    ['n:1', 'other:1', 'n:1 in the store has another digest: DIGEST is other:1', 'leave the name away'],
  ])('%s with the digest of %s says whose it is', async (name, other, message, hint) => {
    const digest = digests[other] ?? '';
    const { code, stderr } = await run('inspect', `${name}@${digest}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message.replaceAll('DIGEST', digest))]);
    expect(stderr).toContain(hint);
  });

  it('with a digest of nobody says what the name has', async () => {
    const nobody = `sha256:${'0'.repeat(64)}`;
    const { stderr } = await run('inspect', `n:1@${nobody}`);
    expect(stderr).toContain(`n:1 in the store has another digest, ${digests['n:1']}, not ${nobody}`);
    expect(stderr).toContain(`slipway pull n:1@${nobody}`);
  });
});

describe('save and load', () => {
  it('say what they did as pull and push do', async () => {
    const file = join(home, 'both.tar');
    const saved = JSON.parse(await ok('save', '--json', '-o', file, 'n:1', 'other:1'));
    const image = (name: string) => ({ name, digest: digests[name], size: expect.any(Number) });
    expect(saved).toEqual({
      file,
      images: ['n:1', 'other:1'].map((name) => ({ ...image(name), savedBytes: expect.any(Number) })),
    });
    expect(saved.images[0].savedBytes).toBe(saved.images[0].size);
    const loaded = JSON.parse(await mustSlipway(['load', '--json', file], { root: join(home, 'loaded') }));
    expect(loaded).toEqual(['n:1', 'other:1'].map(image));
    expect(loaded[0].size).toBe(saved.images[0].size);
    const delta = JSON.parse(await ok('save', '--json', '-o', file, '--since', 'n:1', 'n:1'));
    expect(delta.images[0]).toMatchObject({ size: saved.images[0].size, savedBytes: 0 });
  });

  it('load says which name stood for another image before', async () => {
    const [file, copy] = [join(home, 'n.tar'), { root: copyOfStore('moved') }];
    await ok('save', '-o', file, 'n:1');
    await mustSlipway(['tag', 'other:1', 'n:1'], copy);
    const moved = await slipway(['load', '-i', file], copy);
    expect(moved.stderr).toMatch(/^n:1 stood for another image, [0-9a-f]{12}: that is still called other:1$/m);
    expect((await slipway(['load', '-i', file], copy)).stderr).not.toContain('another image');
    await mustSlipway(['rmi', 'other:1'], copy);
    await mustSlipway(['tag', 'docker.io/team/app:2', 'n:1'], copy);
    await mustSlipway(['rmi', 'docker.io/team/app:2'], copy);
    expect((await slipway(['load', '-i', file], copy)).stderr).toContain('has no name any more');
  });

  it.each([
    ['1', 'no name but "1" in the archive', '--as NAME:1'],
    ['v1.29', 'no name but "v1.29"', '--as NAME:v1.29'],
    ['latest', 'no name but "latest"', '--as NAME:latest'],
    ['', 'has no name in the archive', '--as NAME'],
  ])('an image of skopeo that is called %j there wants a name', async (ref, message, hint) => {
    const layout = join(home, `layout-${ref}`);
    await must('skopeo', ['copy', '-q', `oci:${root}:n:1`, `oci:${layout}${ref === '' ? '' : `:${ref}`}`]);
    const refused = await run('load', layout);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(refused.stderr).toContain(hint);
    const copy = { root: join(home, `named-${ref}`) };
    expect(await mustSlipway(['load', '--as', 'named:1', layout], copy)).toBe('Loaded named:1\n');
  });

  it('a name without a tag is one still', async () => {
    await must('skopeo', ['copy', '-q', `oci:${root}:n:1`, `oci:${home}/layout-web:web`]);
    expect(await mustSlipway(['load', `${home}/layout-web`], { root: join(home, 'web') })).toBe('Loaded web:latest\n');
  });
});

describe('the next step', () => {
  it.each([
    [['rmi', 'm:1'], 1, 'did you mean n:1?'],
    [['rmi', 'othr'], 1, 'did you mean other:1?'],
    [['rmi', 'n'], 1, 'did you mean n:1?'],
    [['umount', 'nowhere-near'], 1, 'nothing called nowhere-near is mounted'],
    [['help', 'nonsense'], 2, 'there is no command nonsense'],
    [['help', 'imgaes'], 2, 'did you mean images?'],
    [['pull', '--tls-verify=false', 'localhost:1/x'], 2, '--plain-http'],
    [['push', '--tls-verify', 'false', 'n:1'], 2, '--insecure-skip-verify'],
    [['copy', '--tls-verify=false', 'n:1', 'docker://localhost:1/x'], 2, 'there is no --tls-verify'],
    [['instal'], 2, '"slipway --help" lists the commands'],
    [['run', '--runtime', 'k0s', 'n:1'], 2, '"slipway run --help" shows its arguments and flags'],
    [['--debug', 'inspect'], 2, '"slipway inspect --help"'],
    [['registry', 'serve', '--addr', '127.0.0.1:0'], 2, '"slipway registry serve --help"'],
    [['plan', '-f', '/nonexistent'], 1, 'examples/three-masters'],
    [['plan', '-f', '/proc'], 1, '/proc is a directory, and a Clusterfile is wanted'],
    [['load', '-i', 'a', 'b'], 2, 'two archives'],
    [['load', '/nonexistent.tar'], 1, '/nonexistent.tar'],
    [['pull', '--cert-dir', '/nonexistent', 'registry.example:1/x'], 2, 'there is no such directory'],
    [
      ['registry', 'serve', '--listen', '127.0.0.1:0', '--htpasswd', '/nonexistent'],
      2,
      'htpasswd -B -c /nonexistent USER',
    ],
    [
      ['registry', 'serve', '--listen', '127.0.0.1:0', '--tls-cert', '/nonexistent.crt', '--tls-key', '/x'],
      2,
      'there is no /nonexistent.crt',
    ],
  ])('%j: %i, %s', async (args, code, said) => {
    const failed = await run(...args);
    expect([failed.code, failed.stderr]).toEqual([code, expect.stringContaining(said)]);
    expect(failed.stderr).not.toContain('ENOENT');
  });

  it.each(['--help', '--version'])('is not told with %s', async (flag) => {
    expect(await run(flag)).toMatchObject({ code: 0, stderr: '' });
  });

  it('of a base image that nobody has', async () => {
    const build = (base: string) =>
      run('build', writeTree(join(home, 'upon'), { Kubefile: `FROM localhost:1/${base}\n` }));
    expect((await build('k3s:v1.30.4')).stderr).toContain(
      'the store has no localhost:1/k3s:v1.30.4, so that registry was asked: build or load it first; else: ',
    );
    await ok('tag', 'n:1', 'localhost:1/k3s:v1.30.5');
    expect((await build('k3s:v1.30.4')).stderr).toContain('did you mean localhost:1/k3s:v1.30.5?');
    await ok('rmi', 'localhost:1/k3s:v1.30.5');
  });

  it('of a store without clusters', async () => {
    expect((await run('status')).stdout).toBe(
      `No cluster is known in ${root}: "slipway run" launches one; those of another store are seen with --root\n`,
    );
    expect((await run('status', '-q')).stdout).toBe('');
  });

  it('of a mount that is written wrongly', async () => {
    const dir = join(home, 'mounted');
    mkdirSync(dir);
    await ok('mount', 'n:1', dir);
    try {
      expect((await run('umount', `${dir.slice(0, -1)}x`)).stderr).toContain(`did you mean ${dir}?`);
      expect((await run('umount', 'docker.io/library/m:1')).stderr).toContain('is mounted, or in the store');
      expect(await ok('umount', 'docker.io/library/n:1')).toBe(`${dir}\n`);
    } finally {
      await run('umount', '--all');
    }
  });

  it('of a damaged index.json', async () => {
    const copy = { root: copyOfStore('damaged') };
    const index = join(copy.root, 'index.json');
    writeFileSync(index, readFileSync(index, 'utf8').slice(0, -20));
    const { code, stderr } = await slipway(['images'], copy);
    expect([code, stderr]).toEqual([1, expect.stringContaining('slipway store check --repair')]);
    await slipway(['store', 'check', '--repair'], copy);
    expect((await slipway(['images'], copy)).code).toBe(0);
  });
});

describe('unshare', () => {
  it.each([
    ['nosuchcmd', 127],
    ['/etc/passwd', 126],
  ])('%s ends with %i, as in a shell', async (program, code) => {
    const ended = await run('unshare', program);
    expect([ended.code, ended.stdout]).toEqual([code, '']);
    expect(ended.stderr).toContain(`cannot start ${program}`);
  });

  it('gives the exit code of what it runs', async () => {
    expect((await run('unshare', 'sh', '-c', 'exit 7')).code).toBe(7);
  });
});

it('names that somebody has written into a store drive no terminal', async () => {
  const copy = { root: copyOfStore('strange') };
  const index = join(copy.root, 'index.json');
  writeFileSync(index, readFileSync(index, 'utf8').replace('"other:1"', '"a\\u202eb\\u001b[2J\\u009b1mc"'));
  for (const args of [['images'], ['du', '-v'], ['images', '--json'], ['store', 'check', '--json'], ['rmi', '--all']]) {
    const { stdout, stderr } = await slipway(args, copy);
    expect([args, `${stdout}${stderr}`]).toEqual([args, expect.stringMatching(/^[ -~\n]+$/)]);
  }
  expect((await slipway(['images'], copy)).stdout).not.toContain('202e'); // gone
});

describe('completion in bash', () => {
  /** What bash offers after these words; the last one is being written. */
  async function completed(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string[]> {
    const script = await ok('completion', 'bash');
    const call = `${script}
slipway() { "${process.execPath}" "${LAUNCHER}" "$@"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _slipway; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', call, 'bash', ...words], {
      encoding: 'utf8',
      cwd: home,
      env: { ...process.env, SLIPWAY_ROOT: join(home, 'empty'), ...env },
    });
    expect(stderr).toBe('');
    return stdout.split('\n').filter((line) => line !== '');
  }

  it.each([
    [
      ['slipway', 'store', ''],
      ['check', 'du'],
    ],
    [['slipway', 'store', 'check', '--rep'], ['--repair']],
    [['slipway', 'registry', 'serve', '--tls-c'], ['--tls-cert']],
    [
      ['slipway', '--debug', 'registry', 's'],
      ['sync', 'serve'],
    ],
    [['slipway', 'images', '--progress', 'p'], ['plain']],
    [['slipway', 'images', '--progress', '=', 'p'], ['plain']],
    [['slipway', 'unm'], ['unmount']],
  ])('%j: %j', async (words, offered) => {
    expect(await completed(words)).toEqual(offered);
  });

  it('files for flags that take one, directories for others', async () => {
    writeTree(join(home, 'files'), { 'spec file.yaml': '', 'spec-dir/x': '' });
    expect((await completed(['slipway', 'run', '-f', 'files/sp'])).sort()).toEqual([
      'files/spec file.yaml',
      'files/spec-dir',
    ]);
    expect(await completed(['slipway', 'save', '-o', 'files/spec f'])).toEqual(['files/spec file.yaml']);
    expect(await completed(['slipway', 'pull', '--cert-dir', 'files/sp'])).toEqual(['files/spec-dir']);
    expect(await completed(['slipway', '--root', 'files/sp'])).toEqual(['files/spec-dir']);
  });

  it('images and mounts of the store that is named', async () => {
    expect(await completed(['slipway', 'inspect', ''])).toEqual([]);
    for (const flag of [
      ['--root', root],
      ['--root', '=', root],
    ]) {
      expect(await completed(['slipway', ...flag, 'inspect', 'o'])).toEqual(['other:1']);
      expect(await completed(['slipway', 'inspect', ...flag, 'o'])).toEqual(['other:1']);
    }
    const dir = join(home, 'a mount');
    mkdirSync(dir);
    await ok('mount', 'n:1', dir);
    try {
      expect(await completed(['slipway', '--root', root, 'umount', ''])).toEqual([dir.replace(' ', '\\ '), 'n:1']);
    } finally {
      await run('umount', '--all');
    }
  });

  it('never carries out what stands in a name', async () => {
    const copy = copyOfStore('names');
    const index = join(copy, 'index.json');
    writeFileSync(index, readFileSync(index, 'utf8').replace('"other:1"', '"$(touch${IFS}carried-out)"'));
    expect(await completed(['slipway', 'inspect', '$'], { SLIPWAY_ROOT: copy })).toEqual([
      '\\$\\(touch\\$\\{IFS\\}carried-out\\)',
    ]);
    expect(spawnSync('ls', [join(home, 'carried-out')]).status).not.toBe(0);
  });
});

describe('completion in other shells', () => {
  it.each(['zsh', 'fish'])('%s accepts its script, which says nothing of hidden flags', async (shell) => {
    const file = join(home, `completion.${shell}`);
    writeFileSync(file, await ok('completion', shell));
    await must(shell, ['-n', file]);
    expect(readFileSync(file, 'utf8')).not.toContain('tls-verify');
  });

  it.each([
    ['slipway store ', ['check', 'du']],
    ['slipway store check --rep', ['--repair']],
    ['slipway registry serve --tls-c', ['--tls-cert']],
    ['slipway images --progress p', ['plain']],
    ['slipway --root STORE inspect o', ['other:1']],
    ['slipway inspect --root=STORE o', ['other:1']],
    ['slipway inspect o', []],
  ])('fish, after %s: %j', async (line, offered) => {
    const script = `${await ok('completion', 'fish')}
function slipway; "${process.execPath}" "${LAUNCHER}" $argv; end
complete -C ${JSON.stringify(line.replace('STORE', root))}`;
    const stdout = await must('fish', ['--no-config', '-c', script], { env: { SLIPWAY_ROOT: join(home, 'empty') } });
    const words = stdout.split('\n').map((text) => text.split('\t', 1)[0]);
    expect(words.filter((word) => word !== '')).toEqual(offered);
  });
});
