import { describe, expect, it } from 'vitest';
import { isSlipwayError } from '../../../../src/base/errors.js';
import { registerSecret } from '../../../../src/base/redact.js';
import { digestOf } from '../../../../src/image/digest.js';
import { appCommandOf } from '../../../../src/install/apps/app-commands.js';
import { deleteCommandsOf } from '../../../../src/install/apps/app-removal.js';
import { appName, installedApp } from '../../../../src/install/apps/app-spec.js';
import { missingImages } from '../../../../src/install/apps/installed-images.js';
import { droppedProblems, nextApp, type WantedApp } from '../../../../src/install/apps/next-app.js';
import { ownUpstreams } from '../../../../src/install/apps/survey-app.js';
import { launchCommands } from '../../../../src/install/files/applications.js';
import type { AppConfigSpec } from '../../../../src/install/spec/cluster-spec.js';
import { type AppState, withApp } from '../../../../src/install/state/app-state.js';

const image = {
  name: 'example.com/shop:v1',
  digest: digestOf('one'),
  env: { ZONE: 'a', API_TOKEN: 'x' },
  launchCmds: [],
  launchApps: ['web', 'tool'],
  upstreams: ['docker.io'],
  applications: [
    { name: 'web', type: 'kube', files: ['a.yaml', 'b.yaml'], env: { PORT: '80' } },
    { name: 'chart', type: 'helm', files: ['chart'] },
    { name: 'tool', type: 'shell', files: ['x.sh'] },
  ],
};

interface Given {
  readonly before?: AppState;
  readonly cmds?: string[];
  readonly apps?: string[];
  readonly configs?: AppConfigSpec[];
  readonly env?: Record<string, string>;
}

function wanted({ cmds, apps, configs = [], env = {} }: Given): WantedApp {
  const given = {
    ...(cmds === undefined ? {} : { cmds }),
    ...(apps === undefined ? {} : { apps }),
    appConfigs: configs,
  };
  return {
    name: 'shop',
    spec: { env, appConfigs: configs },
    image,
    launched: launchCommands(given, image),
    servesImages: true,
    hosts: ['10.0.0.2'],
  };
}

const next = (given: Given = {}): AppState => nextApp(given.before, wanted(given));
const config = (over: Partial<AppConfigSpec> & { name: string }): AppConfigSpec => ({ env: {}, files: [], ...over });
const removal = (app: AppState, given: Partial<Parameters<typeof deleteCommandsOf>[1]> = {}) =>
  deleteCommandsOf(app, { cmds: undefined, appConfigs: [], env: {}, ...given }, { HostIP: '10.0.0.2', ZONE: 'h' }, {});

function failureOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isSlipwayError(error)) return `${error.code}: ${error.message} (${error.hint})`;
    throw error;
  }
  return 'none';
}

describe('what is kept of an application', () => {
  it('is what it was made from and how it is taken away, without secrets', () => {
    registerSecret('very-secret-word');
    const configs = [
      config({
        name: 'web',
        env: { COLOUR: 'red', DB_PASSWORD: 'y' },
        files: [
          { path: 'a.conf', data: 'key very-secret-word', strategy: 'overwrite' },
          { path: 'b.conf', data: 'b', strategy: 'merge' },
        ],
        delete: ['echo very-secret-word'],
        place: 'Clusterfile:1:1',
      }),
    ];
    const app = next({ configs, env: { A: '1', TOKEN: 'z' } });
    expect(app).toMatchObject({
      phase: 'installing',
      env: { A: '1' },
      envNotKept: ['TOKEN'],
      imageEnv: { ZONE: 'a' },
      appConfigs: [{ name: 'web', env: { COLOUR: 'red' }, files: [{ path: 'b.conf', data: 'b', strategy: 'merge' }] }],
      notKept: [
        'the variable DB_PASSWORD of the application web',
        'the delete commands of the application web',
        'the file a.conf of the application web',
      ],
    });
    expect(JSON.stringify(app)).not.toMatch(/very-secret-word|Clusterfile/);
  });

  it('grows with other applications, and begins anew after a deletion', () => {
    const first = next({ apps: ['web'] });
    const more = next({ apps: ['chart'], before: { ...first, phase: 'installed' } });
    expect(more.launched.map(({ application }) => application)).toEqual(['web', 'chart']);
    expect(more).toMatchObject({ id: first.id, since: first.since });
    const anew = next({ apps: ['chart'], before: { ...first, phase: 'deleting', hosts: ['10.0.0.9'] } });
    expect(anew.launched.map(({ application }) => application)).toEqual(['chart']);
    expect(anew.id).not.toBe(first.id);
    // where something of it still may be is not forgotten
    expect(anew.hosts).toEqual(['10.0.0.9', '10.0.0.2']);
  });

  it('is not given up for an image that lacks what runs', () => {
    const before = { ...next({ apps: ['web'] }), phase: 'installed' as const };
    expect(droppedProblems(before, image)).toEqual([]);
    const [problem] = droppedProblems(before, { name: 'example.com/shop:v2', applications: [] });
    expect(problem?.problem).toBe('example.com/shop:v1 has started web, which example.com/shop:v2 does not have');
    expect(problem?.hint).toContain('slipway delete-app shop');
  });
});

describe('the commands that take an application away', () => {
  it('come from its type, in the other order, with the variables that started it', () => {
    const { commands, unknown } = removal(next({ apps: ['chart', 'web'], env: { PORT: '81' } }));
    const DELETE = 'kubectl delete --ignore-not-found --timeout=5m -f';
    expect(commands.map(({ id, application, command }) => `${id} ${application}: ${command}`)).toEqual([
      `app-shop-delete-1 web: ${DELETE} b.yaml`,
      `app-shop-delete-2 web: ${DELETE} a.yaml`,
      'app-shop-delete-3 chart: ! helm status chart >/dev/null 2>&1 || helm uninstall chart',
    ]);
    expect(unknown).toEqual([]);
    expect(commands[0]?.env).toEqual({ HostIP: '10.0.0.2', ZONE: 'h', PORT: '81' });
  });

  it('are not guessed for scripts, commands of the image, and other launch commands', () => {
    expect(removal(next()).unknown).toEqual(['the application tool']);
    expect(removal(next({ cmds: ['x'] })).unknown).toEqual(['the commands of the image']);
    expect(removal(next({ apps: ['web'], configs: [config({ name: 'web', launch: ['x'] })] })).unknown).toEqual([
      'the application web',
    ]);
  });

  it('may be given when it is installed, and when it is taken away', () => {
    const kept = next({ configs: [config({ name: 'tool', delete: ['undo'] })] });
    expect(removal(kept).commands[0]).toMatchObject({ command: 'undo', application: 'tool' });
    const now = removal(next(), { appConfigs: [config({ name: 'tool', delete: ['now'], env: { B: '2' } })] });
    expect(now.commands[0]).toMatchObject({ command: 'now', env: { B: '2' } });
    expect(now.unknown).toEqual([]);
    const all = removal(next(), { cmds: ['kubectl delete ns shop'] });
    expect(all.commands.map(({ command }) => command)).toEqual(['kubectl delete ns shop']);
    expect(all.unknown).toEqual([]);
  });

  it('of a later installation are others', () => {
    const inputs = (app: AppState): unknown => removal(app).commands[0]?.inputs;
    const first = next();
    expect(inputs(first)).toBe(inputs(next({ before: first })));
    expect(inputs(first)).not.toBe(inputs(next()));
  });

  it('are told apart from those of others by the ids of their notes', () => {
    expect(appCommandOf('web', 'app-web-launch-12')).toEqual({ kind: 'launch', number: 12 });
    expect(appCommandOf('web', 'app-web-launch-1-launch-1')).toBeUndefined();
    expect(appCommandOf('web', 'app-web-2-launch-1')).toBeUndefined();
    expect(appCommandOf('web', 'launch-1')).toBeUndefined();
  });
});

describe('the name of an application', () => {
  const installed = [next()];

  it('is the last part of its repository, or the one that was given', () => {
    expect(appName(undefined, 'example.com:5000/a/my_web:v1', [])).toBe('my_web');
    expect(
      appName(undefined, 'shop:v2', [{ ...next(), image: { name: 'docker.io/library/shop:v1', digest: '' } }]),
    ).toBe('shop');
    expect(appName('eu', 'example.com/shop:v1', installed)).toBe('eu');
    expect(failureOf(() => appName('../x', 'shop:v1', []))).toContain('cannot name an application');
    expect(failureOf(() => appName(undefined, `sha256:${'0'.repeat(64)}`, []))).toContain('--name web');
  });

  it('takes the place of no other image unless it is said', () => {
    expect(failureOf(() => appName(undefined, 'other.com/shop:v1', installed))).toMatch(
      /^E_USAGE: the application shop of this cluster is example\.com\/shop:v1, another image .*--name shop-2/,
    );
    expect(appName('shop', 'other.com/shop:v1', installed)).toBe('shop');
  });

  it('that nothing has says which there are', () => {
    const cluster = { name: 'edge', applications: installed } as unknown as Parameters<typeof installedApp>[0];
    expect(installedApp(cluster, 'shop').name).toBe('shop');
    expect(failureOf(() => installedApp(cluster, 'shp'))).toContain('did you mean shop?');
    expect(failureOf(() => installedApp(cluster, 'tool'))).toContain('tool is part of shop (example.com/shop:v1)');
    expect(failureOf(() => installedApp({ ...cluster, applications: [] }, 'x'))).toContain('"slipway run-app"');
  });
});

describe('what applications share', () => {
  it('is mirrored as long as one needs it', () => {
    const shop = next();
    const other = { ...next(), name: 'other', upstreams: ['quay.io'] };
    const app = { name: 'shop', upstreams: ['docker.io', 'quay.io', 'ghcr.io'] };
    expect(ownUpstreams({ upstreams: ['docker.io'], applications: [shop, other] }, app)).toEqual(['ghcr.io']);
    // what the cluster itself needs is not known of one that an older version launched
    expect(ownUpstreams({ upstreams: undefined, applications: [] }, app)).toEqual([]);
  });

  it('must be in the store when another host begins to serve the registry', () => {
    const app = next();
    expect(missingImages([app], ['10.0.0.2'], [])).toEqual([]);
    expect(missingImages([app], ['10.0.0.3'], [{ name: 'shop' }])).toEqual([]);
    expect(missingImages([app], ['10.0.0.3'], [])).toMatchObject([
      { host: '10.0.0.3', hint: expect.stringContaining('slipway pull example.com/shop:v1') },
    ]);
  });

  it('is listed by name', () => {
    const both = withApp(withApp([], { ...next(), name: 'z' }), { ...next(), name: 'a' });
    expect(both.map(({ name }) => name)).toEqual(['a', 'z']);
    expect(withApp(both, { ...next(), name: 'z', phase: 'installed' })[1]?.phase).toBe('installed');
  });
});
