// Applications in an image: what APP, CNI, CSI, APPCMDS, APPENV, LAUNCH, CMDS and KUBEVERSION make, as sealer would read it.
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ImageDescription } from '../../../src/store/describe.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory('slipway-apps-');
const root = join(home, 'store');
const KUBE = 'kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n';
const CHART = {
  'Chart.yaml': 'apiVersion: v2\nname: chart\nversion: 1.0.0\n',
  'values.yaml': 'a: 1\n',
  'templates/a.yaml': KUBE,
};

let contexts = 0;
function context(kubefile: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = join(home, `context-${contexts++}`);
  for (const [path, content] of Object.entries({ Kubefile: kubefile, ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

const build = (name: string, dir: string, ...args: string[]): Promise<string> =>
  mustSlipway(['build', '-t', name, '-q', ...args, dir], { root });

async function inspect(name: string): Promise<ImageDescription> {
  return JSON.parse(await mustSlipway(['inspect', name, '--json'], { root })) as ImageDescription;
}

/** Paths below application/ and what they are. */
async function tree(name: string): Promise<string[]> {
  const entries = JSON.parse(await mustSlipway(['inspect', name, '--rootfs', '--json'], { root })) as {
    path: string;
    type: string;
  }[];
  return entries.filter(({ path, type }) => path.startsWith('application/') && type !== 'dir').map(({ path }) => path);
}

/** The annotations as any tool sees them. */
async function annotations(name: string): Promise<{ extension: Record<string, unknown>; images: unknown }> {
  const manifest = JSON.parse(await must('skopeo', ['inspect', '--raw', `oci:${root}:${name}`])) as {
    annotations: Record<string, string>;
  };
  return {
    extension: JSON.parse(manifest.annotations['sealer.image.extension'] ?? 'null') as Record<string, unknown>,
    images: JSON.parse(manifest.annotations['sealer.image.container.images'] ?? 'null'),
  };
}

async function failure(kubefile: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const { code, stderr } = await slipway(['build', '-q', context(kubefile, files)], { root });
  expect(code, stderr).toBeGreaterThan(0);
  return stderr;
}

describe('an application', () => {
  it('of every type is described as sealer describes it', async () => {
    const dir = context(
      [
        'FROM scratch',
        'ARG WHERE=web',
        'APP web local://$WHERE/ns.yaml local://web/app',
        'CNI net local://scripts',
        'CSI store local://chart',
        'APP mixed local://install.sh local://web/ns.yaml',
        'APPCMDS mixed ["bash install.sh", "kubectl apply -f ns.yaml"]',
        'APPENV web N=1 TEXT="two words"',
        'APPENV web N=$WHERE',
        'APP kustom local://kustom',
        'KUBEVERSION >=1.24, <1.30',
        'LAUNCH ["net", "web", "mixed"]',
      ].join('\n'),
      {
        'web/ns.yaml': KUBE,
        'web/app/a.yaml': KUBE,
        'web/app/b.yaml': KUBE,
        'web/app/README.md': 'read me',
        'scripts/1.sh': 'true',
        'scripts/2.sh': 'true',
        'install.sh': 'true',
        'kustom/kustomization.yaml': 'resources: [a.yaml]\n',
        'kustom/a.yaml': KUBE,
        ...Object.fromEntries(Object.entries(CHART).map(([path, text]) => [`chart/${path}`, text])),
      },
    );
    await build('apps:v1', dir, '--type', 'app-installer');
    const { extension } = await annotations('apps:v1');
    expect(extension).toMatchObject({
      schemaVersion: 'v1alpha1',
      type: 'app-installer',
      launch: { app_names: ['net', 'web', 'mixed'] },
      applications: [
        {
          name: 'web',
          type: 'kube',
          files: ['ns.yaml', 'a.yaml', 'b.yaml'],
          version: 'v1',
          env: { N: 'web', TEXT: 'two words' },
        },
        { name: 'net', type: 'shell', files: ['1.sh', '2.sh'], version: 'v1' },
        { name: 'store', type: 'helm', files: ['store'], version: 'v1' },
        { name: 'mixed', version: 'v1', cmds: ['bash install.sh && kubectl apply -f ns.yaml'] },
        { name: 'kustom', type: 'kube', cmds: ['kubectl apply -k .'] },
      ],
    });
    expect(extension.launch).not.toHaveProperty('cmds');
    const { labels, launch, applications } = await inspect('apps:v1');
    expect(labels).toMatchObject({
      'cluster.alpha.sealer.io/kube-cni-net': 'true',
      'cluster.alpha.sealer.io/kube-csi-store': 'true',
      'app.alpha.sealer.io/supported-kube-version': '>=1.24, <1.30',
    });
    expect(launch).toEqual({ cmds: [], apps: ['net', 'web', 'mixed'] });
    expect(applications[3]?.cmds).toEqual(['bash install.sh', 'kubectl apply -f ns.yaml']);
    expect(await tree('apps:v1')).toEqual([
      'application/apps/kustom/a.yaml',
      'application/apps/kustom/kustomization.yaml',
      'application/apps/mixed/install.sh',
      'application/apps/mixed/ns.yaml',
      'application/apps/net/1.sh',
      'application/apps/net/2.sh',
      'application/apps/store/Chart.yaml',
      'application/apps/store/templates/a.yaml',
      'application/apps/store/values.yaml',
      'application/apps/web/README.md',
      'application/apps/web/a.yaml',
      'application/apps/web/b.yaml',
      'application/apps/web/ns.yaml',
    ]);
    const text = await mustSlipway(['inspect', 'apps:v1'], { root });
    expect(text).toMatch(/^Starts: +the application net\n +the application web\n/m);
    expect(text).toMatch(/^Applications: web kube, env N TEXT: kubectl apply -f ns\.yaml && /m);
    expect(text).toMatch(/^ +net shell, CNI: bash 1\.sh; bash 2\.sh$/m);
    expect(text).toMatch(/^Needs: +Kubernetes >=1\.24, <1\.30$/m);
  });

  it('is taken from the context by its rules, and never from outside', async () => {
    const files = { 'web/a.yaml': KUBE, 'web/secret.yaml': KUBE, '.dockerignore': 'web/secret.yaml\n' };
    const dir = context('FROM scratch\nAPP web local://web/*\n', files);
    symlinkSync('../../../etc/hostname', join(dir, 'web/link.yaml'));
    await build('rules:v1', dir, '--type', 'app-installer');
    expect(await tree('rules:v1')).toEqual(['application/apps/web/a.yaml', 'application/apps/web/link.yaml']);
    expect(await failure('FROM scratch\nAPP web local://web/secret.yaml\n', files)).toMatch(
      /Kubefile:2:9: .*\.dockerignore hides it/,
    );
    expect(await failure('FROM scratch\nAPP web local://../x.yaml\n')).toMatch(/leaves the build context/);
    expect(await failure('FROM scratch\nAPP web local://wbe\n', files)).toMatch(/did you mean web\?/);
  });

  it('gives the same image whatever times and umask the files have, and is cached by content', async () => {
    const kubefile = 'FROM scratch\nAPP web local://web\nLAUNCH web\n';
    const [one, two] = [context(kubefile, { 'web/a.yaml': KUBE }), context(kubefile, { 'web/a.yaml': KUBE })];
    utimesSync(join(two, 'web/a.yaml'), 1e9, 1e9);
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const digest = async (dir: string, store: string): Promise<string> =>
      mustSlipway(['build', '-q', '--type', 'app-installer', dir], { root: join(home, store), env });
    expect(await digest(one, 'r1')).toBe(await digest(two, 'r2'));

    const again = await slipway(['build', '--type', 'app-installer', two], { root: join(home, 'r1'), env });
    expect(again.stderr).toMatch(/\[1\/2\] cached/);
    writeFileSync(join(two, 'web/a.yaml'), `${KUBE}# changed\n`);
    expect((await slipway(['build', two], { root: join(home, 'r1'), env })).stderr).not.toMatch(/\[1\/2\] cached/);
    chmodSync(join(one, 'web/a.yaml'), 0o600);
    expect((await slipway(['build', one], { root: join(home, 'r1'), env })).stderr).not.toMatch(/\[1\/2\] cached/);
  });
});

describe('inheritance', () => {
  it('brings applications, launch and labels; a new one of the same name replaces the old one, files and all', async () => {
    const base = context(
      'FROM scratch\nCNI web local://old\nAPP other local://old/a.yaml\nAPPENV other A=1 B=1\nLAUNCH web other\n',
      { 'old/a.yaml': KUBE, 'old/b.yaml': KUBE },
    );
    await build('base:v1', base, '--type', 'app-installer');
    const dir = context('FROM base:v1\nAPP web local://a.sh\nAPPENV other B=2\nAPPCMDS other ["kubectl get ns"]\n', {
      'a.sh': 'true',
    });
    await build('derived:v1', dir, '--type', 'app-installer');
    expect(await tree('derived:v1')).toEqual(['application/apps/other/a.yaml', 'application/apps/web/a.sh']);
    const { applications, launch, labels } = await inspect('derived:v1');
    expect(applications).toEqual([
      { name: 'web', type: 'shell', files: ['a.sh'], version: 'v1' },
      {
        name: 'other',
        type: 'kube',
        files: ['a.yaml'],
        version: 'v1',
        env: { A: '1', B: '2' },
        cmds: ['kubectl get ns'],
      },
    ]);
    expect(launch.apps).toEqual(['web', 'other']);
    expect(labels).not.toHaveProperty('cluster.alpha.sealer.io/kube-cni-web');
    expect((await inspect('base:v1')).labels).toHaveProperty(['cluster.alpha.sealer.io/kube-cni-web'], 'true');

    await build('narrow:v1', context('FROM derived:v1\nLAUNCH other\n'), '--type', 'app-installer');
    expect((await inspect('narrow:v1')).launch.apps).toEqual(['other']);
    expect(await failure('FROM base:v1\nCMD kubectl get nodes\n')).toMatch(
      /Kubefile:2:1: CMD and LAUNCH exclude each other, and the base image launches web, other[\s\S]*hint: .*APPCMDS/,
    );
    expect(await failure('FROM base:v1\nCMDS ["x"]\n')).toMatch(/CMDS and LAUNCH exclude each other/);
    expect(await failure('FROM base:v1\nLAUNCH wbe\n')).toMatch(/no application "wbe"[\s\S]*did you mean web\?/);
  });

  it('goes through stages with FROM, not with COPY --from', async () => {
    const dir = context(
      [
        'FROM scratch AS apps',
        'APP web local://a.yaml',
        'FROM scratch AS copied',
        'COPY --from=apps /application /application',
        'FROM apps',
        'LAUNCH web',
      ].join('\n'),
      { 'a.yaml': KUBE },
    );
    await build('stages:v1', dir, '--type', 'app-installer');
    expect((await inspect('stages:v1')).launch.apps).toEqual(['web']);
    await build('copied:v1', dir, '--type', 'app-installer', '--target', 'copied');
    expect(await tree('copied:v1')).toEqual(['application/apps/web/a.yaml']);
    expect((await inspect('copied:v1')).applications).toEqual([]);
  });

  it('starts applications after the commands of a Kubernetes image, for sealer too', async () => {
    const metadata = { Metadata: '{"version":"v1.29.2"}' };
    await build('k8s:v1', context('FROM scratch\nCOPY Metadata .\nCMD bash scripts/cni.sh\n', metadata));
    await build('site:v1', context('FROM k8s:v1\nAPP web local://a.yaml\nLAUNCH web\n', { 'a.yaml': KUBE }));
    expect((await inspect('site:v1')).launch).toEqual({ cmds: ['bash scripts/cni.sh'], apps: ['web'] });
    expect((await annotations('site:v1')).extension.launch).toEqual({
      cmds: ['bash scripts/cni.sh', 'cd application/apps/web && kubectl apply -f a.yaml'],
      app_names: ['web'],
      commands: ['bash scripts/cni.sh'],
    });
    await build('more:v1', context('FROM site:v1\nENV A=1\n'));
    expect((await inspect('more:v1')).launch).toEqual({ cmds: ['bash scripts/cni.sh'], apps: ['web'] });
  });

  it('runs CMD and CMDS in the order they are written, those of the base first', async () => {
    await build('cmds:v1', context('FROM scratch\nCMD one\n'));
    await build('cmds:v2', context('FROM cmds:v1\nCMD two\nCMDS ["three", "four five"]\n'));
    expect((await inspect('cmds:v2')).launch.cmds).toEqual(['one', 'two', 'three', 'four five']);
  });
});

describe('mistakes', () => {
  it.each([
    ['APP web local://a.yaml\nLAUNCH wbe', /3:1: LAUNCH: there is no application "wbe"[\s\S]*did you mean web/],
    ['LAUNCH web\nAPP web local://a.yaml', /2:1: LAUNCH: there is no application "web"[\s\S]*declare it before/],
    ['APPENV web A=1', /2:1: APPENV: there is no application "web"/],
    ['APPCMDS web ["x"]\nAPP web local://a.yaml', /2:1: APPCMDS: there is no application/],
    ['APP web local://a.yaml\nAPPENV web A-B=1', /3:1: APPENV: "A-B" is not the name of a variable/],
    ['APP web local://a.yaml\nAPPCMDS web [""]', /3:1: APPCMDS has an empty command/],
    ['APP web local://a.yaml\nLAUNCH web web', /3:1: LAUNCH names "web" twice/],
    ['APP ../web local://a.yaml', /2:5: "\.\.\/web" cannot be the name of an application/],
    [
      'APP web local://a.yaml\nCNI web local://a.sh',
      /3:5: the application web is declared a second time.*Kubefile:2:1/,
    ],
    [
      'APP web local://a.sh local://a.yaml',
      /2:9: nothing says how to start the application web[\s\S]*hint: .*APPCMDS web/,
    ],
    ['APP web local://empty', /2:9: APP web: its sources hold no file/],
    ['KUBEVERSION newest', /2:1: "newest" is not a constraint on the version of Kubernetes/],
    ['ARG S=ftp://x/a.yaml\nAPP web $S', /3:9: the source ftp:\/\/x\/a\.yaml: ftp:\/\/ is not known/],
  ])('%j', async (lines, expected) => {
    const dir = context(`FROM scratch\n${lines}\n`, { 'a.yaml': KUBE, 'a.sh': 'true' });
    mkdirSync(join(dir, 'empty'));
    const { code, stderr } = await slipway(['build', '-q', '--type', 'app-installer', dir], { root });
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(expected);
  });

  it('an application that an APPCMDS in a later stage was to start, and that the image does not have', async () => {
    const kubefile = 'FROM scratch AS a\nAPP x local://p\nFROM a\nAPPCMDS x ["./p"]\n';
    const dir = context(kubefile, { p: 'program' });
    await build('later:v1', dir, '--type', 'app-installer');
    const { code, stderr } = await slipway(['build', '-q', '--target', 'a', dir], { root });
    expect(code).toBe(2);
    expect(stderr).toMatch(/nothing says how to start the application x/);
  });

  it("Docker's dialect has no applications", async () => {
    expect(await failure('# dialect=docker\nFROM scratch\nAPP web local://a.yaml\n', { 'a.yaml': KUBE })).toMatch(
      /Docker has no instruction APP/,
    );
    for (const line of ['CMDS ["x"]', 'KUBEVERSION >=1.20', 'LAUNCH x'])
      expect(await failure(`# dialect=docker\nFROM scratch\n${line}\n`)).toMatch(
        /Kubefile:3:1: Docker has no instruction/,
      );
  });

  it('a chart with a name that helm does not take, unless something else starts it', async () => {
    const files = Object.fromEntries(Object.entries(CHART).map(([path, text]) => [`chart/${path}`, text]));
    expect(await failure('FROM scratch\nAPP My_chart local://chart\n', files)).toMatch(
      /Kubefile:2:14: helm has no release "My_chart"/,
    );
    const told = context('FROM scratch\nAPP My_chart local://chart\nAPPCMDS My_chart ["helm install x ."]\n', files);
    await build('told:v1', told, '--type', 'app-installer');
  });

  it('a Kubernetes that the applications are not for is told', async () => {
    const dir = context('FROM scratch\nCOPY Metadata .\nKUBEVERSION >=1.30\n', { Metadata: '{"version":"v1.29.2"}' });
    expect((await slipway(['build', dir], { root })).stderr).toMatch(
      /warning: KUBEVERSION >=1\.30: .*installs v1\.29\.2/,
    );
  });

  it('an app-installer is no cluster', async () => {
    await build(
      'only:v1',
      context('FROM scratch\nAPP web local://a.yaml\n', { 'a.yaml': KUBE }),
      '--type',
      'app-installer',
    );
    const { code, stderr } = await slipway(['run', 'only:v1', '--masters', '127.0.0.1'], { root });
    expect(code).toBe(1);
    expect(stderr).toMatch(/only:v1 installs applications on a cluster[\s\S]*hint: .*slipway merge/);
  });
});

describe("sealer's lists with commas", () => {
  it('of ARG are several arguments, with a warning; Docker has one', async () => {
    const kubefile = 'FROM scratch\nARG A=1,B=2\nENV X=$A Y=$B\n';
    const { stderr } = await slipway(['build', '-t', 'arg:v1', context(kubefile)], { root });
    expect(stderr).toMatch(/Kubefile:2:5: .*several arguments, as sealer did/);
    expect((await inspect('arg:v1')).env).toEqual(expect.arrayContaining(['X=1', 'Y=2']));
    await build('arg:v2', context(`# dialect=docker\n${kubefile}`));
    expect((await inspect('arg:v2')).env).toEqual(expect.arrayContaining(['X=1,B=2', 'Y=']));
  });

  it('of CMD are one command, as in sealer since 0.9, with a warning', async () => {
    const { stderr } = await slipway(
      ['build', '-t', 'cmd:v1', context('FROM scratch\nCMD helm list, kubectl get ns\n')],
      {
        root,
      },
    );
    expect(stderr).toMatch(/Kubefile:2:14: .*comma/);
    expect((await inspect('cmd:v1')).launch.cmds).toEqual(['helm list, kubectl get ns']);
  });
});
