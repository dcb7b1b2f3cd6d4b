// An application image is put on a cluster and taken away again, with this machine as the master that serves the registry, and notes that are
// kept here instead of in a cluster.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import type { CommandResult } from '../../../src/hosts/host.js';
import { digestOf } from '../../../src/image/digest.js';
import { type AppRemoval, deleteCommandsOf } from '../../../src/install/apps/app-removal.js';
import type { AppWork } from '../../../src/install/apps/app-work.js';
import { nextApp } from '../../../src/install/apps/next-app.js';
import { imageEntries } from '../../../src/install/files/app-files.js';
import { launchCommands } from '../../../src/install/files/applications.js';
import { compareHost, distribute } from '../../../src/install/files/distribute.js';
import { entriesDigest, hostRootfs, type WantedEntry } from '../../../src/install/files/rootfs.js';
import { APP_DELETE_PHASES } from '../../../src/install/phases/app-delete.js';
import { APP_INSTALL_PHASES } from '../../../src/install/phases/app-install.js';
import { distributePhase } from '../../../src/install/phases/distribute.js';
import { type ExecuteOutcome, execute } from '../../../src/install/plan/execute.js';
import { makePlan, type Plan } from '../../../src/install/plan/plan.js';
import type { AppState } from '../../../src/install/state/app-state.js';
import { appPaths, hostPaths } from '../../../src/install/state/cluster-paths.js';
import { Journal } from '../../../src/install/state/journal.js';
import type { InstallWork } from '../../../src/install/work.js';
import { comparePaths } from '../../../src/layers/toc.js';
import { tempDirectory } from '../../support/temp.js';

const scratch = tempDirectory('slipway-apps-');
const host = connectHost('127.0.0.1');
afterAll(() => host.close());

const paths = hostPaths(join(scratch, 'root'), 'prod');
const REGISTRY = 'registry/docker/registry/v2';
const link = (image: string): string => `${REGISTRY}/repositories/${image}/_manifests/tags/1/current/link`;

/** Files, and the directories above them. */
function entries(files: Readonly<Record<string, string>>, mtime = 1): readonly WantedEntry[] {
  const found = new Map<string, WantedEntry>();
  const common = { uid: 0, gid: 0, mtime };
  for (const [path, text] of Object.entries(files)) {
    for (let dir = dirname(path); dir !== '.'; dir = dirname(dir))
      found.set(dir, { ...common, path: dir, type: 'dir', mode: 0o755 });
    const bytes = Buffer.from(text);
    const content = { size: bytes.length, digest: digestOf(bytes), content: { bytes } };
    found.set(path, { ...common, path, type: 'file', mode: 0o644, ...content });
  }
  return [...found.values()].sort((a, b) => comparePaths(a.path, b.path));
}

const notes: Record<string, string> = {};
/** The part of kubectl that is asked for notes. */
async function kubectl(_host: unknown, _rootfs: string, args: readonly string[]): Promise<CommandResult> {
  if (args.includes('patch')) {
    const { data } = JSON.parse(args.at(-1) ?? '') as { data: Record<string, string | null> };
    for (const [id, note] of Object.entries(data)) {
      if (note === null) delete notes[id];
      else notes[id] = note;
    }
  }
  const stdout = Object.entries(notes)
    .map(([id, note]) => `${id}=${note}\n`)
    .join('');
  return { code: 0, stdout, stderr: '' };
}
const driver = { kubectl, adminKubeconfig: '/etc/kubernetes/admin.conf' };

const CLUSTER = { [`${REGISTRY}/blobs/shared`]: 'shared', [link('pause')]: 'pause', 'bin/x': 'x' };
const installed = new Map<string, AppState>();

function places(app: AppState) {
  return {
    cluster: 'prod',
    app,
    applications: [...new Map([...installed, [app.name, app]]).values()],
    paths,
    appPaths: appPaths(paths, app.name),
    registry: { domain: 'sea.hub', port: 5000 },
    upstreams: [],
    hosts: [host],
    registryHosts: [host],
    reporter: silentReporter,
    adminKubeconfig: driver.adminKubeconfig,
    master: { driver, host, rootfs: paths.rootfs },
  };
}

function work(name: string, files: Readonly<Record<string, string>>): AppWork {
  const all = entries({ 'application/apps/web/run.sh': '', ...files }, 2);
  const image = {
    name: `${name}:v1`,
    digest: digestOf(JSON.stringify(files)),
    env: {},
    launchCmds: [],
    launchApps: ['web'],
    upstreams: [],
    applications: [{ name: 'web', cmds: [`echo "$(pwd) $A" >>${scratch}/out`, `[ ! -e ${scratch}/broken ]`] }],
    rootfs: { entries: all, digest: entriesDigest(all), skipped: [] },
  };
  const config = {
    name: 'web',
    env: {},
    files: [],
    delete: [`echo gone $A >>${scratch}/out`, `[ ! -e ${scratch}/broken ]`],
  };
  const launched = launchCommands({}, image);
  const spec = { env: {}, appConfigs: [config] };
  const app = nextApp(installed.get(name), { name, spec, image, launched, servesImages: true, hosts: ['127.0.0.1'] });
  return {
    ...places(app),
    image: image as unknown as AppWork['image'],
    launched,
    envs: { env: {}, cluster: {}, applications: new Map([['web', { A: 'of web' }]]) },
    envDigest: 'env',
    files: hostRootfs(image.rootfs, [], false),
    images: imageEntries(all),
  };
}

async function run(plan: Plan): Promise<ExecuteOutcome> {
  const journal = await Journal.open(join(scratch, 'journal.jsonl'), 'run');
  try {
    return await execute(plan, {
      journal,
      done: new Map(),
      logs: new Map(),
      reporter: silentReporter,
      concurrency: 4,
      critical: new Set(['127.0.0.1']),
      signal: new AbortController().signal,
      again: 'again',
    });
  } finally {
    await journal.close();
  }
}

async function install(name: string, files: Readonly<Record<string, string>>): Promise<ExecuteOutcome> {
  const wanted = work(name, files);
  installed.set(name, { ...wanted.app, phase: 'installed' });
  return run(makePlan(APP_INSTALL_PHASES, wanted));
}

async function remove(name: string, force = false): Promise<{ outcome: ExecuteOutcome; failed: readonly string[] }> {
  const app = installed.get(name);
  if (app === undefined) throw new Error(`${name} is not installed`);
  const { commands } = deleteCommandsOf(app, { cmds: undefined, appConfigs: [], env: { A: 'now' } }, {}, {});
  const failed: string[] = [];
  const removal: AppRemoval = { ...places(app), commands, files: undefined, holders: [host], force, failed };
  const outcome = await run(makePlan(APP_DELETE_PHASES, removal));
  installed.delete(name);
  return { outcome, failed };
}

/** The cluster's own step, which sends and removes files of its image. */
async function distributeCluster(files: Readonly<Record<string, string>>): Promise<ExecuteOutcome> {
  const one = {
    address: '127.0.0.1',
    host,
    wanted: () => entries(files),
    wantedDigest: digestOf(JSON.stringify(files)),
    servesRegistry: true,
    rendered: [],
  };
  const cluster = { hosts: [one], paths, applications: [...installed.values()], reporter: silentReporter };
  return run(
    makePlan([distributePhase], { ...cluster, concurrentUploads: 1, fanOut: false } as unknown as InstallWork),
  );
}

const here = (path: string): boolean => existsSync(join(paths.rootfs, path));
const out = (): string => readFileSync(join(scratch, 'out'), 'utf8').replaceAll(`${paths.apps}/`, '');

beforeAll(async () => {
  mkdirSync(dirname(paths.base), { recursive: true });
  const wanted = entries(CLUSTER);
  await distribute(host, paths, wanted, await compareHost(host, paths, wanted));
});

it('is put beside what is there, goes on after a failure, and does nothing twice', async () => {
  const files = { [`${REGISTRY}/blobs/shared`]: 'shared', [`${REGISTRY}/blobs/own`]: 'own', [link('web')]: 'w' };
  writeFileSync(join(scratch, 'broken'), '');
  await expect(install('one', files)).rejects.toThrow(/broken/);
  rmSync(join(scratch, 'broken'));
  expect(await install('one', files)).toMatchObject({ ran: 1, skipped: 3 });
  expect(await install('one', files)).toMatchObject({ ran: 0, skipped: 4 });
  expect(out()).toBe('one/rootfs/application/apps/web of web\n');
  expect(readdirSync(join(paths.apps, 'one', 'rootfs'))).toEqual(['application']);
  // the cluster finds its own files as they were
  expect(await distributeCluster(CLUSTER)).toMatchObject({ ran: 0 });
  expect(await install('one', { ...files, 'application/apps/web/run.sh': 'x' })).toMatchObject({ ran: 3 });
});

it('keeps its images when the cluster has no use for them any more, and gives up only its own', async () => {
  await install('two', { [`${REGISTRY}/blobs/own`]: 'own', [`${REGISTRY}/blobs/two`]: 'two' });
  await distributeCluster({ 'bin/x': 'x', [link('pause')]: 'pause' });
  expect(here(`${REGISTRY}/blobs/shared`)).toBe(true);
  await remove('two');
  expect([here(`${REGISTRY}/blobs/two`), here(`${REGISTRY}/blobs/own`)]).toEqual([false, true]);
  expect(existsSync(join(paths.apps, 'two'))).toBe(false);
});

it('is taken away, goes on after a failure, and can be put there again', async () => {
  const before = out();
  writeFileSync(join(scratch, 'broken'), '');
  await expect(remove('one')).rejects.toThrow(/broken/);
  expect(here(link('web'))).toBe(true);
  // nothing of it counts as launched any more
  expect(Object.keys(notes)).toEqual(['app-one-delete-1']);
  rmSync(join(scratch, 'broken'));
  await remove('one');
  expect(out().slice(before.length)).toBe('gone now\n');
  expect([here(link('web')), here(`${REGISTRY}/blobs/shared`), here(link('pause'))]).toEqual([false, false, true]);
  expect(existsSync(paths.apps)).toBe(false);
  expect(notes).toEqual({});
  expect(await install('one', { [link('web')]: 'w' })).toMatchObject({ ran: 4 });
});

it('is taken away by force when its commands fail, and says which', async () => {
  writeFileSync(join(scratch, 'broken'), '');
  const { failed } = await remove('one', true);
  rmSync(join(scratch, 'broken'));
  expect(failed).toEqual([`web: [ ! -e ${scratch}/broken ]`]);
  expect(existsSync(paths.apps)).toBe(false);
  expect(here(link('pause'))).toBe(true);
});
