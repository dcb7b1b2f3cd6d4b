import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageFile, imageTime, imageTree } from '../../../support/image-tree.js';
import { mustSlipway, slipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
const root = join(home, 'store');
const content = 'some content\n';
const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
const MODIFIED = 'Sun, 09 Sep 2001 01:46:40 GMT'; // 1000000000
let count = 0;
let origin: string;
let other: string;
let requests: { url: string; headers: IncomingMessage['headers']; status: number }[] = [];
/** What the server does; a test may replace a path. */
const paths: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/file.txt': (_, response) => response.setHeader('last-modified', MODIFIED).end(content),
  '/dir/with%20space?token=s3cr3t-token': (_, response) => response.end(content),
  '/tagged': (request, response) => {
    response.setHeader('etag', '"one"');
    if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end();
    else response.end(content);
  },
  '/private': (request, response) => {
    const expected = `Basic ${Buffer.from('me:pass-word-1').toString('base64')}`;
    if (request.headers.authorization === expected) response.end(content);
    else response.writeHead(401).end();
  },
  '/away': (_, response) => response.writeHead(302, { location: `${other}/private` }).end(),
  '/there': (_, response) => response.writeHead(302, { location: '/file.txt' }).end(),
  '/circle': (_, response) => response.writeHead(302, { location: '/circle' }).end(),
  '/broken': (_, response) => {
    response.writeHead(500).end('details of the server');
  },
  '/short': (_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('only this', () => response.destroy());
  },
  '/archive.tar': (_, response) => response.end(readFileSync(join(home, 'archive.tar'))),
};
const servers: Server[] = [];

function listen(): Promise<string> {
  const server = createServer((request, response) => {
    response.on('finish', () =>
      requests.push({ url: request.url ?? '', headers: request.headers, status: response.statusCode }),
    );
    const answer = paths[request.url ?? ''];
    if (answer === undefined) response.writeHead(404).end();
    else answer(request, response);
  });
  servers.push(server);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
}

beforeAll(async () => {
  [origin, other] = await Promise.all([listen(), listen()]);
});
afterAll(() => {
  for (const server of servers) server.close();
});

function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  requests = [];
  return writeTree(join(home, 'contexts', String(count++)), { Kubefile: kubefile, ...files });
}

function build(name: string, dir: string, ...args: string[]): Promise<string> {
  return mustSlipway(['build', '-q', '-t', name, ...args, dir], { root });
}

describe('ADD of a URL', () => {
  it('is a file of mode 0600 called like the path ends, or like the destination', async () => {
    const dir = context(
      `FROM scratch\nADD ${origin}/file.txt ${origin}/dir/with%20space?token=s3cr3t-token f /d/\nADD --chmod=640 --chown=3 ${origin}/there /named\n`,
      { f: '' },
    );
    await build('url', dir);
    expect(await imageTree(root, 'url')).toEqual([
      'd 755 0:0 dir',
      'd/f 644 0:0 file',
      'd/file.txt 600 0:0 file',
      'd/with space 600 0:0 file',
      'named 640 3:3 file',
    ]);
    expect(await imageFile(root, 'url', 'named')).toBe(content);
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it("has the server's time with Docker's rules only", async () => {
    await build('time:kubefile', context(`FROM scratch\nADD ${origin}/file.txt /\n`));
    expect(await imageTime(root, 'time:kubefile', 'file.txt')).toBe(946684800);
    await build('time:docker', context(`# dialect=docker\nFROM scratch\nADD ${origin}/file.txt /\n`));
    expect(await imageTime(root, 'time:docker', 'file.txt')).toBe(1e9);
  });

  it('with a checksum asks nobody once the layer is there', async () => {
    const dir = context(`FROM scratch\nADD --checksum=${digest} ${origin}/file.txt /by-checksum\n`);
    await build('checksum', dir);
    expect(requests).toHaveLength(1);
    const { stderr } = await slipway(['build', dir], { root });
    expect(stderr).toContain('1/1] cached');
    expect(requests).toHaveLength(1);
  });

  it('without one asks whether it has changed', async () => {
    const dir = context(`FROM scratch\nADD ${origin}/tagged /\n`);
    await build('tagged', dir);
    const { stderr } = await slipway(['build', dir], { root });
    expect(stderr).toContain('1/1] cached');
    expect(requests.map(({ status }) => status)).toEqual([200, 304]);
    paths['/tagged'] = (_, response) => response.setHeader('etag', '"two"').end('changed');
    await build('tagged', dir);
    expect(await imageFile(root, 'tagged', 'tagged')).toBe('changed');
    // the layer is gone, the note is not: the whole file is asked for
    const again = await slipway(['build', '--no-cache', '-t', 'tagged', dir], { root });
    expect(again.code).toBe(0);
  });

  it('does not unpack archives', async () => {
    const { execFileSync } = await import('node:child_process');
    writeFileSync(join(home, 'in-archive'), '');
    execFileSync('tar', ['-C', home, '-cf', join(home, 'archive.tar'), 'in-archive']);
    await build('not-unpacked', context(`FROM scratch\nADD ${origin}/archive.tar /\n`));
    expect(await imageTree(root, 'not-unpacked')).toEqual(['archive.tar 600 0:0 file']);
  });

  it('sends credentials to their server only, and shows them nowhere', async () => {
    const url = origin.replace('http://', 'http://me:pass-word-1@');
    const dir = context(`FROM scratch\nADD ${url}/private /\n`);
    const { stderr, code } = await slipway(['build', '-t', 'private', '--debug', dir], { root });
    expect(code).toBe(0);
    expect(await imageFile(root, 'private', 'private')).toBe(content);
    const away = await slipway(['build', '--debug', context(`FROM scratch\nARG U=${url}\nADD $U/away /\n`)], { root });
    expect(away.stderr).toMatch(/the server answered 401 \(redirected to 127\.0\.0\.1:\d+\)/);
    expect(requests.at(-1)?.headers.authorization).toBeUndefined();
    const history = await mustSlipway(['history', 'private'], { root });
    const everything = stderr + away.stderr + history + (await mustSlipway(['inspect', '--json', 'private'], { root }));
    expect(everything).not.toContain('pass-word-1');
    expect(everything).not.toContain(Buffer.from('me:pass-word-1').toString('base64'));
    const kept = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
    expect(kept.join('')).not.toContain('pass-word-1');
  });

  it.each([
    ['/nothing', /\/nothing: the server answered 404/],
    ['/broken', /\/broken: the server answered 500/],
    ['/circle', /more than \d+ redirects/],
    ['/private', /answered 401[\s\S]*credentials may be part of the URL/],
    ['/short', /\/short: the connection broke/],
  ])('%s: %s', async (path, message) => {
    const dir = context(`FROM scratch\nARG QUERY\nADD ${origin}${path}$QUERY /x\n`);
    const query = path === '/nothing' ? '?k=s3cr3t-query' : '';
    const { code, stderr } = await slipway(['build', '--build-arg', `QUERY=${query}`, dir], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('s3cr3t-query');
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  });

  it.each([
    ['--checksum=sha256:abc', '', /is not a sha256 digest/],
    [`--checksum=sha256:${'0'.repeat(64)}`, '', /has the digest sha256:[0-9a-f]{64}, not sha256:0000/],
    [`--checksum=${digest}`, 'f', /--checksum is for one URL/],
  ])('%s %s is refused', async (flag, more, message) => {
    const { code, stderr } = await slipway(
      ['build', context(`FROM scratch\nADD ${flag} ${origin}/file.txt ${more} /x/\n`, { f: '' })],
      { root },
    );
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });

  it('without a name goes to a named file only', async () => {
    paths['/'] = (_, response) => response.end(content);
    const { stderr } = await slipway(['build', context(`FROM scratch\nADD ${origin}/ /d/\n`)], { root });
    expect(stderr).toMatch(/has no file name, and the destination is a directory/);
    await build('nameless', context(`FROM scratch\nADD ${origin}/ /index\n`));
    expect(await imageTree(root, 'nameless')).toEqual(['index 600 0:0 file']);
  });

  it('that nobody answers fails with its place', async () => {
    const { stderr } = await slipway(['build', context('FROM scratch\nADD http://127.0.0.1:1/x /\n')], { root });
    expect(stderr).toMatch(/Kubefile:2:5: downloading http:\/\/127\.0\.0\.1:1\/x: nobody answers/);
  });
});
