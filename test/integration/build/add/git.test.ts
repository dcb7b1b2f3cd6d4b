import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageFile, imageTree } from '../../../support/image-tree.js';
import { mustSlipway, slipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
const repositories = join(home, 'repositories');
const work = join(home, 'work');
let count = 0;
let server: Server;
let origin: string;
let requests = 0;
const commits: Record<string, string> = {};

function git(...args: string[]): string {
  return execFileSync('git', ['-C', work, '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
    encoding: 'utf8',
  }).trim();
}

/** git's own server program behind HTTP; `/private/` wants a password. */
function serve(): Promise<Server> {
  const execPath = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
  const made = createServer((request, response) => {
    requests++;
    const url = new URL(request.url ?? '', 'http://x');
    const wanted = `Basic ${Buffer.from('me:git-pass-word').toString('base64')}`;
    let path = url.pathname;
    if (path.startsWith('/private/')) {
      if (request.headers.authorization !== wanted) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        return;
      }
      path = path.slice('/private'.length);
    }
    const child = spawn(join(execPath, 'git-http-backend'), {
      env: {
        ...process.env,
        GIT_PROJECT_ROOT: repositories,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        PATH_INFO: path,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
        REMOTE_ADDR: '127.0.0.1',
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => {});
    let head = Buffer.alloc(0);
    let begun = false;
    child.stdout.on('data', (piece: Buffer) => {
      if (begun) {
        response.write(piece);
        return;
      }
      head = Buffer.concat([head, piece]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      begun = true;
      const headers = head
        .toString('latin1', 0, end)
        .split('\r\n')
        .map((line) => line.split(/: */, 2) as [string, string]);
      const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1];
      response.writeHead(
        Number.parseInt(status ?? '200', 10),
        Object.fromEntries(headers.filter(([name]) => name !== 'Status')),
      );
      response.write(head.subarray(end + 4));
    });
    child.on('close', () => response.end());
  });
  return new Promise((resolve) => made.listen(0, '127.0.0.1', () => resolve(made)));
}

beforeAll(async () => {
  mkdirSync(repositories, { recursive: true });
  writeTree(work, { README: 'one', 'sub/file': 'in sub', 'sub/deep/x': 'x', tool: '#!/bin/sh\n' });
  execFileSync('git', ['init', '-q', '-b', 'main', work]);
  execFileSync('chmod', ['755', join(work, 'tool')]);
  symlinkSync('README', join(work, 'link'));
  git('add', '.');
  git('commit', '-qm', 'one');
  commits.one = git('rev-parse', 'HEAD');
  git('tag', '-a', '-m', 'tag', 'v1');
  writeFileSync(join(work, 'README'), 'two');
  git('commit', '-qam', 'two');
  commits.two = git('rev-parse', 'HEAD');
  git('branch', 'other', 'v1');
  execFileSync('git', ['clone', '-q', '--bare', work, join(repositories, 'app.git')]);
  server = await serve();
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
});

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  requests = 0;
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

function build(name: string, dir: string): Promise<string> {
  return mustSlipway(['build', '-q', '-t', name, dir], { root });
}

describe('ADD of a git repository', () => {
  it('takes its files, without .git', async () => {
    await build('git', context(`FROM scratch\nADD --chown=3 ${origin}/app.git /src\n`));
    expect(await imageTree(root, 'git')).toEqual([
      'src 755 3:3 dir',
      'src/README 644 3:3 file',
      'src/link 777 3:3 symlink README',
      'src/sub 755 3:3 dir',
      'src/sub/deep 755 3:3 dir',
      'src/sub/deep/x 644 3:3 file',
      'src/sub/file 644 3:3 file',
      'src/tool 755 3:3 file',
    ]);
    expect(await imageFile(root, 'git', 'src/README')).toBe('two');
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it.each([
    ['#v1', 'one'],
    ['#other', 'one'],
    ['#refs/heads/main', 'two'],
    ['#COMMIT', 'one'],
  ])('%s', async (fragment, expected) => {
    const dir = context(`FROM scratch\nADD ${origin}/app.git${fragment.replace('COMMIT', commits.one ?? '')} /\n`);
    await build('ref', dir);
    expect(await imageFile(root, 'ref', 'README')).toBe(expected);
  });

  it('a directory of it', async () => {
    await build(
      'sub',
      context(`FROM scratch\nADD ${origin}/app.git#v1:sub /x/\nADD ${origin}/app.git#:sub/deep /y/\n`),
    );
    expect(await imageTree(root, 'sub')).toEqual([
      'x 755 0:0 dir',
      'x/deep 755 0:0 dir',
      'x/deep/x 644 0:0 file',
      'x/file 644 0:0 file',
      'y 755 0:0 dir',
      'y/x 644 0:0 file',
    ]);
  });

  it('is cached by its commit; one that is named in full needs no network', async () => {
    const branch = context(`FROM scratch\nADD ${origin}/app.git#main /\n`);
    await build('cached', branch);
    requests = 0;
    expect((await slipway(['build', branch], { root })).stderr).toContain('1/1] cached');
    expect(requests).toBeLessThanOrEqual(3);
    const commit = context(`FROM scratch\nADD --checksum=${commits.one} ${origin}/app.git#${commits.one} /\n`);
    await build('cached', commit);
    requests = 0;
    expect((await slipway(['build', commit], { root })).stderr).toContain('1/1] cached');
    expect(requests).toBe(0);
  });

  it('the umask of the process does not matter', async () => {
    const dir = context(`FROM scratch\nADD ${origin}/app.git#v1 /\n`);
    const before = process.umask(0o077);
    try {
      await mustSlipway(['build', '-q', '--no-cache', '-t', 'umask', dir], { root });
    } finally {
      process.umask(before);
    }
    expect(await imageTree(root, 'umask')).toContain('tool 755 0:0 file');
    expect(await imageTree(root, 'umask')).toContain('sub/file 644 0:0 file');
  });

  it('--keep-git-dir keeps it', async () => {
    await build('kept', context(`FROM scratch\nADD --keep-git-dir ${origin}/app.git#v1 /\n`));
    const names = await imageTree(root, 'kept');
    expect(names).toContain('.git 755 0:0 dir');
    expect(await imageFile(root, 'kept', '.git/HEAD')).toBe(`${commits.one}\n`);
    expect(await imageFile(root, 'kept', '.git/config')).toContain(`url = ${origin}/app.git`);
    expect(names.filter((line) => line.includes('/hooks/'))).toEqual([]);
  });

  it('credentials reach the server and nothing else', async () => {
    const url = origin.replace('http://', 'http://me:git-pass-word@');
    const dir = context(`FROM scratch\nADD --keep-git-dir ${url}/private/app.git#v1 /\n`);
    const { code, stderr } = await slipway(['build', '--debug', '-t', 'credentials', dir], { root });
    expect(stderr).not.toContain('git-pass-word');
    expect(code).toBe(0);
    expect(await imageFile(root, 'credentials', '.git/config')).not.toContain('git-pass-word');
    expect(await mustSlipway(['inspect', '--json', 'credentials'], { root })).not.toContain('git-pass-word');
    const denied = await slipway(['build', context(`FROM scratch\nADD ${origin}/private/app.git /\n`)], { root });
    expect(denied.code).toBe(1);
    expect(denied.stderr).toMatch(/asking .*\/private\/app\.git for HEAD: /);
  });

  it('nothing that the machine or the user has configured is run', async () => {
    const marker = join(home, 'hook-ran');
    const userHome = join(home, 'user');
    const hooks = writeTree(join(userHome, 'hooks'), { 'post-checkout': `#!/bin/sh\ntouch ${marker}\n` });
    execFileSync('chmod', ['755', join(hooks, 'post-checkout')]);
    writeTree(userHome, {
      '.gitconfig': `[core]\n\thooksPath = ${hooks}\n\tfsmonitor = "touch ${marker}"\n[filter "x"]\n\tsmudge = touch ${marker}; cat\n[url "http://127.0.0.1:1/"]\n\tinsteadOf = ${origin}\n`,
    });
    const dir = context(`FROM scratch\nADD ${origin}/app.git#v1 /\n`);
    await mustSlipway(['build', '-q', '--no-cache', dir], {
      root,
      env: {
        HOME: userHome,
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'core.hooksPath',
        GIT_CONFIG_VALUE_0: hooks,
        GIT_DIR: '/nowhere',
      },
    });
    expect(readdirSync(home)).not.toContain('hook-ran');
  });

  it('submodules are not fetched, and that is said', async () => {
    git('checkout', '-q', '-b', 'with-submodule', 'main');
    writeFileSync(join(work, '.gitmodules'), '[submodule "m"]\n\tpath = m\n\turl = http://127.0.0.1:1/m.git\n');
    git('update-index', '--add', '--cacheinfo', `160000,${commits.one},m`);
    git('add', '.gitmodules');
    git('commit', '-qm', 'submodule');
    git('push', '-q', join(repositories, 'app.git'), 'with-submodule');
    const { code, stderr } = await slipway(
      ['build', '-t', 'modules', context(`FROM scratch\nADD ${origin}/app.git#with-submodule /\n`)],
      { root },
    );
    expect(code).toBe(0);
    expect(stderr).toMatch(/1 submodules, which are not fetched/);
  });

  it.each([
    ['ORIGIN/app.git#--upload-pack=x', /cannot be a branch, tag or commit/],
    ['ORIGIN/app.git#nosuch', /has no branch, tag or ref called nosuch/],
    ['ORIGIN/app.git#v1:../x', /leaves the repository/],
    ['ORIGIN/app.git#v1:nodir', /has no directory nodir at v1/],
    ['ORIGIN/app.git#v1:README', /has no directory README at v1/],
    ['ORIGIN/none.git', /asking .*none\.git for HEAD: .*(?:not found|404)/],
    [`ORIGIN/app.git#${'0'.repeat(40)}`, /fetching 0{40} of /],
    ['--checksum=1234567 ORIGIN/app.git', /is the commit [0-9a-f]{40}, not 1234567/],
    ['--checksum=xyz ORIGIN/app.git', /it is the commit, in hexadecimal digits/],
    ['git://127.0.0.1:1/x.git', /asking git:\/\/127\.0\.0\.1:1\/x\.git for HEAD: /],
  ])('%s: %s', async (source, message) => {
    const { code, stderr } = await slipway(
      ['build', context(`FROM scratch\nADD ${source.replace('ORIGIN', origin)} /x/\n`)],
      { root },
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).toContain('Kubefile:2:');
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });
});
