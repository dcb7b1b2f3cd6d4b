// What the commands for clusters that are up say on this machine, before any host is asked.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { putClusterState } from '../../support/cluster-state.js';
import { LAUNCHER, mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { listTree } from '../../support/tree.js';

const home = tempDirectory('slipway-clusters-');
const root = join(home, 'store');
const one = join(home, 'one');
const run = (...args: string[]) => slipway(args, { root });

beforeAll(async () => {
  await putClusterState(root, 'edge', { '10.99.0.250': 'master', '10.99.0.251': 'node' });
  await putClusterState(root, 'dock', { '10.99.0.250': 'master' }, { phase: 'installing' });
  await putClusterState(root, 'hurt', { '10.99.0.250': 'master' });
  writeFileSync(join(root, 'data/hurt/cluster.json'), '{');
  await putClusterState(one, 'edge', { '127.0.0.1': 'master' });
});

describe('several clusters', () => {
  it('are listed, also one that cannot be read', async () => {
    const { code, stdout } = await run('status');
    expect(code).toBe(0);
    expect(
      stdout.split('\n').map((line) =>
        line
          .trim()
          .split(/\s{2,}/)
          .slice(0, 5),
      ),
    ).toEqual([
      ['NAME', 'PHASE', 'IMAGE', 'VERSION', 'HOSTS'],
      ['dock', 'installing', 'k8s:v1.20.2', 'v1.20.2', '1'],
      ['edge', 'running', 'k8s:v1.20.2', 'v1.20.2', '2'],
      ['hurt', 'unreadable'],
      [''],
    ]);
    expect((await run('status', '-q')).stdout).toBe('dock\nedge\nhurt\n');
    const document = JSON.parse((await run('status', '--json')).stdout) as { schema: number; clusters: object[] };
    expect(document.schema).toBe(1);
    expect(document.clusters[1]).toMatchObject({
      name: 'edge',
      kubeconfig: null,
      master: null,
      hosts: [{ address: '10.99.0.250', roles: ['master'], status: null }, { address: '10.99.0.251' }],
    });
    expect(document.clusters[2]).toMatchObject({ name: 'hurt', phase: 'unreadable', problem: expect.any(String) });
  });

  it.each(['exec', 'check'])('%s wants to know which', async (command) => {
    const more = command === 'exec' ? ['--', 'true'] : [];
    expect(await run(command, ...more)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there are several clusters: dock, edge, hurt'),
    });
    expect(await run(command, '--cluster', 'eddge', ...more)).toMatchObject({ code: 1, stdout: '' });
    expect(await run(command, '--cluster', 'hurt', ...more)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cluster.json cannot be read'),
    });
  });

  it('are completed by their names, and their hosts by what they are', async () => {
    const programs = join(home, 'bin');
    mkdirSync(programs);
    symlinkSync(LAUNCHER, join(programs, 'slipway'));
    const script = await mustSlipway(['completion', 'bash'], { root });
    const { stdout } = spawnSync(
      'bash',
      [
        '-c',
        `${script}\nfor words in 'exec --cluster e' 'delete --nodes 10' 'delete --masters 10.99' 'help del'; do COMP_WORDS=(slipway $words); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _slipway; echo "\${COMPREPLY[@]}"; done`,
      ],
      { encoding: 'utf8', env: { ...process.env, PATH: `${programs}:${process.env.PATH}`, SLIPWAY_ROOT: root } },
    );
    expect(stdout).toBe('edge\n10.99.0.251\n10.99.0.250\ndelete delete-app\n');
  });
});

it('the only cluster is the one that is meant; this machine is a host like others', async () => {
  const before = await listTree(one);
  expect((await slipway(['exec', '--', 'echo $((6 * 7)); exit 5'], { root: one })).stdout).toBe('127.0.0.1 | 42\n');
  const status = await slipway(['status'], { root: one });
  expect(status).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^127\.0\.0\.1 .*not joined .*nothing of edge is on it$/m),
  });
  expect((await slipway(['status', '--list'], { root: one })).stdout).toMatch(/^edge +running/m);
  const check = await slipway(['check'], { root: one });
  expect(check).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing of cluster edge is on the host') });
  // looking leaves nothing behind
  expect(await listTree(one)).toEqual(before);
});

it.each([
  [['--nodes', '10.99.0.77'], '10.99.0.77: no host of cluster edge'],
  [['--masters', '10.99.0.250'], 'no master of cluster edge would be left'],
  [['--nodes', '10.99.0.251', '--drain-timeout', 'long'], '--drain-timeout long is not a number of seconds'],
  [['--nodes', '10.99.0.251'], '10.99.0.251 leaves cluster edge, and everything of it on this host is removed'],
])('delete %j says what cannot be before it asks', async (flags, message) => {
  const { code, stderr } = await run('delete', '--cluster', 'edge', ...flags);
  expect(code).not.toBe(0);
  expect(stderr.split('\n', 1)[0]).toContain(`error: ${message}`);
});

describe('certificates', () => {
  it('are not touched of a host that is not of the cluster, or where nothing answers', async () => {
    const before = await listTree(one);
    const listed = await slipway(['cert', '--json'], { root: one });
    expect(listed.code).toBe(0);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      schema: 1,
      cluster: 'edge',
      hosts: [{ host: '127.0.0.1', error: null }],
    });
    expect(await listTree(one)).toEqual(before);
    const add = await slipway(['cert', '--alt-names', 'api.example.com', '--dry-run'], { root: one });
    expect(add.code).toBe(1);
    expect(add.stdout).toContain('it does not say that it is of cluster edge');
    expect(add.stdout).toContain('no API server answers');
    const renew = await slipway(['cert', '--renew'], { root: one });
    expect(renew).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing was changed on any host') });
  });

  it('are renewed or extended, with names that are some', async () => {
    const cert = (...args: string[]) => run('cert', '--cluster', 'edge', ...args);
    expect(await cert('--alt-names', 'a', '--renew')).toMatchObject({ code: 2 });
    expect(await cert('--dry-run')).toMatchObject({ code: 2 });
    expect(await cert('--alt-names', 'https://api')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"https://api" is neither a host name nor an IP address'),
    });
    for (const name of ['cert', 'reset'])
      expect(await run(name)).toMatchObject({ code: 2, stderr: expect.stringContaining('there are several clusters') });
  });
});

describe('a cluster that is not known', () => {
  it('is adopted by its hosts, which must be given and answer', async () => {
    expect(await run('gen')).toMatchObject({ code: 2, stderr: expect.stringContaining('--masters is missing') });
    expect(await run('gen', '--masters', '10.0.0')).toMatchObject({ code: 2 });
    expect(await run('gen', '--masters', '10.0.0.2', '--cluster', 'No Name')).toMatchObject({ code: 2 });
    expect(await run('gen', '--masters', '10.0.0.2', '--data-root', 'relative')).toMatchObject({ code: 2 });
    expect(await run('gen', '--masters', '127.0.0.9', '--port', '1', '-u', 'root', '-i', '/no/key')).toMatchObject({
      code: 1,
    });
    expect(JSON.parse((await run('gen', 'schema')).stdout)).toHaveProperty('$schema');
  });

  it('is not made of a host without Kubernetes, nor in the place of one that is known', async () => {
    const gen = (...args: string[]) => slipway(['gen', '--masters', '127.0.0.1', ...args], { root: one });
    const file = join(one, 'data/edge/cluster.json');
    const before = readFileSync(file, 'utf8');
    const known = await gen('--cluster', 'edge');
    expect(known).toMatchObject({ code: 1, stderr: expect.stringContaining('cluster edge is known here already') });
    expect(readFileSync(file, 'utf8')).toBe(before);
    const bare = await gen('--cluster', 'bare');
    expect(bare).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no Kubernetes on it') });
    expect((await slipway(['status', '--list', '-q'], { root: one })).stdout).toBe('edge\n');
  });
});

it('flags that exclude each other are refused', async () => {
  for (const flags of [
    ['--masters', '--nodes'],
    ['--hosts', '10.99.0.250', '--roles', 'master'],
  ])
    expect(await run('exec', '--cluster', 'edge', ...flags, '--', 'true')).toMatchObject({ code: 2 });
  expect(await run('exec', '--cluster', 'edge')).toMatchObject({ code: 2 });
  expect(await run('status', '--list', '--cluster', 'edge')).toMatchObject({ code: 2 });
  expect(await run('check', '--cluster', 'edge', '--concurrency', '0')).toMatchObject({ code: 2 });
  expect(await run('check', '--cluster', 'edge', '--sudo-passwd')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('SLIPWAY_SUDO_PASSWD'),
  });
});

describe('a cluster of which hosts are gone', () => {
  const gone = join(home, 'gone');

  it('stays known when it is reset, until they are given up', async () => {
    // Nothing listens there. Without a password this machine would be asked without SSH.
    const state = await putClusterState(gone, 'edge', { '127.0.0.2': 'master' });
    const port = await closedPort();
    writeFileSync(
      join(gone, 'data/edge/cluster.json'),
      JSON.stringify({ ...state, hosts: state.hosts.map((host) => ({ ...host, ssh: { user: 'root', port } })) }),
    );
    const reset = (...flags: string[]) =>
      slipway(['reset', '--force', ...flags], { root: gone, env: { SLIPWAY_SSH_PASSWD: 'x' } });
    expect(await reset()).toMatchObject({
      code: 1,
      stdout: 'Cluster edge: 0 of 1 hosts are clean.\n',
      stderr: expect.stringMatching(
        /cluster edge is still on these hosts:\n {2}127\.0\.0\.2: [\s\S]*--forget when they are gone/,
      ),
    });
    expect(await mustSlipway(['status', '-q'], { root: gone })).toBe('127.0.0.2\n');
    const { code, stdout } = await reset('--forget', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ cluster: 'edge', clean: [], forgotten: ['127.0.0.2'], left: [] });
    expect(await mustSlipway(['status', '-q'], { root: gone })).toBe('');
  });
});

/** A port at which nobody listens. */
function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.2', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

it.each([['-e', 'TOKEN=in-the-open-1'], ['--env=TOKEN=in-the-open-1'], ['-p', 'in-the-open-1']])(
  '%s %s does not stay in the list of processes',
  async (...flags) => {
    const registry = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
    const asked = new Promise((resolve) => registry.once('connection', resolve));
    const { port } = registry.address() as AddressInfo;
    const { pid, kill, ended } = startSlipway(
      ['run', `127.0.0.1:${port}/k8s:v1`, '--masters', '10.99.0.250', ...flags],
      { root: join(home, 'listed') },
    );
    try {
      await Promise.race([asked, ended]);
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain('in-the-open-1');
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toContain('slipway');
    } finally {
      kill('SIGKILL');
      await ended;
      registry.close();
    }
  },
);
