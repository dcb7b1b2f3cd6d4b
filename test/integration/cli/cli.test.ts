import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../src/cli/commands.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { listTree } from '../../support/tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
const launcher = fileURLToPath(new URL('../../../bin/slipway', import.meta.url));
let registry: DockerRegistry;

beforeAll(async () => {
  registry = await startDockerRegistry({ users: { ann: 'correct horse' } });
  const dir = join(home, 'context');
  mkdirSync(join(dir, 'etc'), { recursive: true });
  writeFileSync(join(dir, 'etc/file'), 'content');
  writeFileSync(join(dir, 'Kubefile'), 'FROM scratch\nCOPY etc /etc/\nCMD kubectl get nodes\n');
  await mustSlipway(['build', '-q', '-t', 'app:v1', dir], { root });
});
afterAll(() => registry.close());

const run = (...args: string[]) => slipway(args, { root });
const ok = (...args: string[]) => mustSlipway(args, { root });

describe('every command', () => {
  it('is listed in help, in its group', async () => {
    const { stdout, code } = await run('--help');
    expect(code).toBe(0);
    for (const [index, { group, names, summary }] of COMMANDS.entries()) {
      const [first = '', ...words] = summary.split(' ');
      // Long summaries go on in the next line.
      const entry = new RegExp(`^ {2}${names.join('\\|')} +${first}\\s+${words[0] ?? ''}`, 'm').exec(stdout);
      expect(entry, names[0]).not.toBeNull();
      const heading = stdout.lastIndexOf(`\n${group}\n`, entry?.index);
      expect(heading, `${names[0]} under ${group}`).toBeGreaterThan(0);
      // No other heading is between.
      expect(stdout.slice(heading + 1, entry?.index).match(/^\S.*:$/gm), names[0]).toEqual([group]);
      if (index > 0) expect(stdout.indexOf(`\n  ${COMMANDS[index - 1]?.names[0]}`)).toBeLessThan(entry?.index ?? 0);
    }
  });

  it.each(COMMANDS.map(({ names }) => names[0]))('%s has help with an example', async (name) => {
    const { stdout, code } = name === 'registry' ? await run('registry', 'serve', '--help') : await run(name, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: slipway /);
    if (name !== 'version') expect(stdout).toContain('Examples:');
  });

  it.each([
    [['imagse'], 2, "unknown command 'imagse'"],
    [['images', '--bogus'], 2, "unknown option '--bogus'"],
    [['inspect'], 2, "missing required argument 'image'"],
    [['inspect', 'nothing'], 1, 'no image nothing:latest in the store'],
    [['inspect', 'ap:v1'], 1, 'did you mean app:v1?'],
    [['inspect', 'BAD NAME'], 2, 'invalid image name'],
    [['inspect', 'app:v1', '--layer', '7'], 1, 'has no layer 7'],
    [['tag', 'app:v1', 'UPPER'], 2, 'lower case'],
    [['rmi'], 2, 'no image given'],
    [['images', '--root', ''], 2, '--root is empty'],
    [['images', '--root', '/proc/none'], 1, '/proc/none'],
    [['images', '--root', '/etc/passwd'], 1, '/etc/passwd'],
    [['save', '-o', '/nodir/x', 'app:v1'], 1, '/nodir'],
    [['inspect', 'app'], 1, 'did you mean app:v1?'],
    [['build', '--platform', 'amd46', '.'], 2, 'did you mean amd64?'],
    [['umount', '/proc'], 1, 'nothing of this store is mounted at /proc'],
    [['umount', 'app:v1'], 1, 'is not mounted'],
    [['build', '-t', 'x', '/nonexistent'], 1, 'cannot read /nonexistent/Kubefile: no such file'],
    [['build', '--compression', 'gzip:11', '.'], 2, 'the level of gzip is 0 to 9'],
    [['run', 'app:v1', '--masters', '10.0.0.300'], 2, '10.0.0.300'],
    [['run', 'app:v1', '--masters', '10.0.0.2', '--nodes', '10.0.0.2'], 2, 'given as a master and as a node'],
    [['reset', '--cluster', 'none', '--force'], 1, 'there is no cluster none'],
    [['reset'], 1, 'there is no cluster my-cluster'],
    [['reset'], 1, 'give that --root'],
    [['reset', '--masters', '10.0.0.2'], 2, 'add --force'],
  ])('%j ends with %d: %s', async (args, code, message) => {
    const ended = await run(...args);
    expect(ended.stderr).toContain(message);
    expect(ended.stderr).not.toMatch(/^\s+at /m);
    expect(ended).toMatchObject({ code, stdout: '' });
  });

  it('tells failures as JSON when that is asked for', async () => {
    const { stderr, code } = await run('inspect', 'nothing', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'E_NOT_FOUND', hint: expect.any(String) } });
  });

  it('survives a reader that goes away', () => {
    const { status, stderr } = spawnSync(
      'bash',
      ['-c', `set -o pipefail; "$0" inspect --rootfs app:v1 | true; "$0" images --help | head -1`, launcher],
      {
        env: { ...process.env, SLIPWAY_ROOT: root },
        encoding: 'utf8',
      },
    );
    expect(stderr).not.toContain('EPIPE');
    expect(status === 0 || status === 141).toBe(true);
  });
});

describe('what images say', () => {
  it('cannot drive the terminal', async () => {
    const dir = join(home, 'escapes');
    mkdirSync(dir);
    writeFileSync(
      join(dir, 'Kubefile'),
      "FROM scratch\nLABEL evil='\u001b]0;owned\u0007\u001b[2J'\nRUN printf '\\033]0;owned\\007\\033[2J\\033[31mred\\033[0m\\n'\n",
    );
    const built = await run('build', '-t', 'escapes:v1', dir);
    expect(built.code).toBe(0);
    expect(built.stderr).toContain('\u001b[31mred\u001b[0m');
    const shown = (await run('inspect', 'escapes:v1')).stdout + built.stderr.replaceAll(/\u001b\[\d*m/g, '');
    expect(shown).not.toMatch(/[\u001b\u0007]/);
    expect(shown).toContain('\\x1b]0;owned');
    await ok('rmi', 'escapes:v1');
  });
});

describe('names', () => {
  it('are given, shown and taken away', async () => {
    await ok('tag', 'app:v1', 'localhost:5000/other:v2');
    const images = JSON.parse(await ok('images', '--format', 'json')) as { name: string; digest: string }[];
    expect(images.map(({ name }) => name)).toEqual(['app:v1', 'localhost:5000/other:v2']);
    const digest = images[0]?.digest ?? '';
    expect(await ok('images', 'other')).toContain('localhost:5000/other:v2');
    expect(await ok('inspect', digest.slice(7, 19), '--json')).toContain(digest);
    expect(await ok('rmi', 'localhost:5000/other:v2')).toContain('Untagged: localhost:5000/other:v2');
    expect((await run('rmi', 'localhost:5000/other:v2')).code).toBe(1);
    expect((await run('rmi', '-f', 'localhost:5000/other:v2')).code).toBe(0);
    await ok('tag', 'app:v1', 'app:v2');
    const ambiguous = await run('rmi', digest.slice(7, 19));
    expect(ambiguous).toMatchObject({ code: 2, stderr: expect.stringContaining('has 2 names') });
    await ok('rmi', 'app:v2');
    await ok('inspect', 'app:v1');
  });
});

describe('archives', () => {
  it.each(['oci-archive', 'docker-archive', 'oci-dir'])('%s: what is saved is loaded as it was', async (format) => {
    const file = join(home, `app.${format}`);
    await ok('save', '--format', format, '-o', file, 'app:v1');
    const other = join(home, `store-${format}`);
    expect(await mustSlipway(['load', '-i', file], { root: other })).toContain('Loaded app:v1');
    const mounted = (await mustSlipway(['mount', 'app:v1'], { root: other })).trim();
    try {
      expect(listTree(mounted).map((line) => line.split(' ', 3).join(' '))).toEqual([
        'etc 0755 0:0',
        'etc/file 0644 0:0',
      ]);
    } finally {
      await mustSlipway(['umount', 'app:v1'], { root: other });
    }
    expect(existsSync(mounted)).toBe(false);
  });

  it('with an image that cannot be read give it no name', async () => {
    const dir = join(home, 'broken.oci');
    await ok('save', '--format', 'oci-dir', '-o', dir, 'app:v1');
    const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as {
      manifests: { digest: string; size: number }[];
    };
    const blob = (digest: string) => join(dir, 'blobs/sha256', digest.slice('sha256:'.length));
    const [entry] = index.manifests;
    if (entry === undefined) throw new Error('nothing was saved');
    const manifest = JSON.parse(readFileSync(blob(entry.digest), 'utf8')) as object;
    const bytes = JSON.stringify({ ...manifest, annotations: { 'sealer.image.extension': '{not json' } });
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    writeFileSync(blob(digest), bytes);
    writeFileSync(
      join(dir, 'index.json'),
      JSON.stringify({ ...index, manifests: [{ ...entry, digest, size: bytes.length }] }),
    );
    const other = join(home, 'store-broken');
    const loaded = await slipway(['load', '-i', dir], { root: other });
    expect(loaded).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('annotation sealer.image.extension is not valid JSON'),
    });
    expect(await mustSlipway(['images', '-q'], { root: other })).toBe('');
  });

  it('go through pipes, and are read by skopeo', async () => {
    const archive = join(home, 'pipe.tar');
    spawnSync('bash', ['-c', `"$0" save app:v1 > "$1"`, launcher, archive], {
      env: { ...process.env, SLIPWAY_ROOT: root },
    });
    expect(await must('skopeo', ['inspect', `oci-archive:${archive}`])).toContain('"Architecture": "amd64"');
  });
});

describe('a registry with passwords', () => {
  it('is logged in to before anything is kept, used, and logged out of', async () => {
    const env = { DOCKER_CONFIG: join(home, 'docker') };
    const login = (password: string) =>
      slipway(['login', '-u', 'ann', '--password-stdin', registry.address], { root, env, stdin: password });
    const wrong = await login('wrong');
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not accept this user name and password'),
    });
    expect(existsSync(join(home, 'docker/config.json'))).toBe(false);
    expect((await login('correct horse')).code).toBe(0);
    const name = `${registry.address}/app:v1`;
    expect(await mustSlipway(['push', 'app:v1', name], { root, env })).toContain(`Pushed ${name}`);
    expect(await mustSlipway(['pull', name], { root: join(home, 'store-pull'), env })).toContain('downloaded');
    expect(await mustSlipway(['pull', name], { root: join(home, 'store-pull'), env })).toContain(' 0B downloaded');
    await mustSlipway(['logout', registry.address], { root, env });
    const refused = await slipway(['pull', name], { root: join(home, 'store-refused'), env });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`slipway login ${registry.address}`) });
    expect(readFileSync(join(home, 'docker/config.json'), 'utf8')).not.toContain('auth"');
  });
});

describe('the embedded registry', () => {
  it('serves another store until it is told to stop', async () => {
    const other = join(home, 'store-served');
    const server = startSlipway(['registry', 'serve', '--listen', '127.0.0.1:0', '--json'], { root: other });
    await expect.poll(() => server.output(), { timeout: 20_000 }).toContain('address');
    const { address } = JSON.parse(server.output().split('\n', 1)[0] ?? '') as { address: string };
    await ok('push', 'app:v1', `${address}/served/app:v1`);
    expect(await must('skopeo', ['inspect', '--tls-verify=false', `docker://${address}/served/app:v1`])).toContain(
      '"v1"',
    );
    server.kill('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect(await mustSlipway(['images'], { root: other })).toContain('served/app:v1');
  });
});

it('completion is a script that each shell accepts', async () => {
  const script = await ok('completion', 'bash');
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${script}\nCOMP_WORDS=(slipway ins); COMP_CWORD=1; _slipway; echo "\${COMPREPLY[@]}"`],
    { encoding: 'utf8' },
  );
  expect({ stdout, stderr }).toEqual({ stdout: 'inspect\n', stderr: '' });
  const values = spawnSync(
    'bash',
    [
      '-c',
      `${script}\nCOMP_WORDS=(slipway save --format oci-a); COMP_CWORD=3; _slipway; echo "\${COMPREPLY[@]}"; COMP_WORDS=(slipway registry s); COMP_CWORD=2; _slipway; echo "\${COMPREPLY[@]}"`,
    ],
    { encoding: 'utf8' },
  );
  expect(values.stdout).toBe('oci-archive\nsync serve\n');
  const places = spawnSync(
    'bash',
    [
      '-c',
      `${script}\ncd /usr; for words in "slipway copy doc" "slipway copy x oci-" "slipway copy oci : shar"; do COMP_WORDS=($words); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _slipway; echo "\${COMPREPLY[@]}"; done`,
    ],
    { encoding: 'utf8', env: { ...process.env, SLIPWAY_ROOT: root } },
  );
  expect(places.stdout).toBe('docker:// docker-archive:\noci-archive:\nshare\n');
  expect(await ok('completion', 'zsh')).toMatch(/^#compdef slipway/);
  expect(await ok('completion', 'fish')).toContain('complete -c slipway');
});

it('version is printed for people and programs', async () => {
  expect(await ok('version')).toMatch(/^slipway \d+\.\d+\.\d+ \(node /);
  expect(await ok('--version')).toMatch(/^slipway \d/);
  expect(JSON.parse(await ok('version', '--json'))).toHaveProperty('version');
  expect(await ok('version', '-q')).toMatch(/^\d+\.\d+\.\d+\n$/);
});
